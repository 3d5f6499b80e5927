--[[
  Write an entry of the audit log, or put what has become of one in its place. Old entries go.
  KEYS[1] the log (stream)
  ARGV[1] id of the entry that this one replaces, or "" for a new one
  ARGV[2] most entries that stay
  ARGV[3] ms that they stay
  ARGV[4...] the fields; of an entry that replaces one `began` is the id of that
  Returns: id of the entry; of a repeat, whose first answer was lost, that of the one written first.
]]
local replaced, most, keep = ARGV[1], ARGV[2], tonumber(ARGV[3])

local function writtenFirst()
  for _, entry in ipairs(redis.call("XREVRANGE", KEYS[1], "+", replaced, "COUNT", 100)) do
    local id, fields = entry[1], entry[2]
    for place = 1, #fields, 2 do
      if fields[place] == "began" and fields[place + 1] == replaced then
        return id
      end
    end
  end
end

if replaced ~= "" and redis.call("XDEL", KEYS[1], replaced) == 0 then
  local first = writtenFirst() -- else it was pushed out by newer ones, and its end is as good as new
  if first then
    return first
  end
end
local id = redis.call("XADD", KEYS[1], "MAXLEN", most, "*", unpack(ARGV, 4))
local oldest = tonumber(redis.call("TIME")[1]) * 1000 - keep
redis.call("XTRIM", KEYS[1], "MINID", string.format("%.0f", math.max(oldest, 0)))
redis.call("PEXPIRE", KEYS[1], ARGV[3])
return id
