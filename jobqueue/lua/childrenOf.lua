--[[
  The keys of a job's children, those that have ended and the others: all, or where they are many some of them. Their
  results, which may be large, are not read.
  KEYS[1] dependencies (set), KEYS[2] processed (hash), KEYS[3] failed (hash), KEYS[4] unsuccessful (zset)
  ARGV[1] how many of each kind are enough
  Returns: {how many children there are, list of keys, each once}
]]
local most = tonumber(ARGV[1])
local few = 1000 -- are read as they lie, which is quicker than to choose among them

local function readable(key, kind)
  return redis.call("TYPE", key).ok == kind
end

local kinds = {
  {KEYS[1], "set", "SCARD", "SMEMBERS", "SRANDMEMBER"},
  {KEYS[2], "hash", "HLEN", "HKEYS", "HRANDFIELD"},
  {KEYS[3], "hash", "HLEN", "HKEYS", "HRANDFIELD"},
}
local count, keys, isKnown = 0, {}, {}

local function take(found)
  for _, key in ipairs(found) do
    if not isKnown[key] then
      isKnown[key] = true
      keys[#keys + 1] = key
    end
  end
end

for _, kind in ipairs(kinds) do
  local key, is, size, all, some = unpack(kind)
  if readable(key, is) then
    local there = redis.call(size, key)
    count = count + there
    if there <= few then
      take(redis.call(all, key))
    else
      take(redis.call(some, key, most))
    end
  end
end
if readable(KEYS[4], "zset") then
  local before = #keys
  take(redis.call("ZRANGE", KEYS[4], 0, most - 1))
  count = count + #keys - before
end
return {math.max(count, #keys), keys}
