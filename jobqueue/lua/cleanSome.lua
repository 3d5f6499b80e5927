--[[
  Remove some jobs of a state that are old enough, of those that come next. Contains cleanJobsInSet unchanged.

  The shipped script looks at the first jobs of a state, and where those must stay it never comes to the ones behind
  them. So jobs are handed to it by windows: a copy of some ids, under a key of ours that this call ends. With a failed
  job it would remove the parent that waits for that job to be retried; so such a job stays.
  KEYS as cleanJobsInSet: the state, events, repeat
  ARGV as cleanJobsInSet: base, time (epoch ms, as many digits as a job's: it is compared as text), most to look at, state
  ARGV[5] how many to pass over: those that were looked at before, and stay
  Returns: {how many were looked at, how many of them were removed}. No event where nothing was looked at.
]]
local base, time, most, kind, skip = ARGV[1], ARGV[2], tonumber(ARGV[3]), ARGV[4], tonumber(ARGV[5])
local state, window = KEYS[1], base .. "job:cleaning:window"
local isList = kind == "wait" or kind == "paused" or kind == "active"

local function nextIds()
  if isList then -- the tail is what runs next, and mostly oldest
    return redis.call("LRANGE", state, -skip - most, -skip - 1)
  elseif kind == "completed" or kind == "failed" then
    return redis.call("ZRANGEBYSCORE", state, 0, time, "LIMIT", skip, most)
  end
  return redis.call("ZRANGE", state, skip, skip + most - 1)
end

local function isWaitedFor(id)
  local parent = kind == "failed" and redis.call("HGET", base .. id, "parentKey")
  return parent and redis.call("SISMEMBER", parent .. ":dependencies", base .. id) == 1
end

local function fillWindow(ids)
  redis.call("DEL", window)
  for place, id in ipairs(ids) do
    if isList then
      redis.call("RPUSH", window, id)
    elseif not isWaitedFor(id) then
      redis.call("ZADD", window, place, id)
    end
  end
end

-- As the shipped script takes them out; `ids` are the last of the list but `skip`.
local function takeOutOfList(ids, removed)
  local isRemoved = {}
  for _, id in ipairs(removed) do
    isRemoved[id] = true
  end
  for place, id in ipairs(ids) do
    if isRemoved[id] then
      redis.call("LSET", state, place - 1 - #ids - skip, "")
    end
  end
  redis.call("LREM", state, -#removed, "")
end

local ids = nextIds()
if #ids == 0 then
  return {0, 0}
end
fillWindow(ids)
local removed = shipped({window, KEYS[2], KEYS[3]}, ARGV)
redis.call("DEL", window)
if isList and #removed > 0 then -- LREM takes 0 for all
  takeOutOfList(ids, removed)
end
for _, id in ipairs(isList and {} or removed) do
  redis.call("ZREM", state, id)
end
return {#ids, #removed}
