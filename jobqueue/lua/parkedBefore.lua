--[[
  How many jobs are parked before each order key and limit that has any. Reads only.
  KEYS[1] index of the gates with parked jobs (zset)
  ARGV[1] how many gates to look at
  Returns: gate, count, gate, count, …
]]
local found = {}
for _, gate in ipairs(redis.call("ZRANGE", KEYS[1], 0, ARGV[1] - 1)) do
  local count = redis.pcall("ZCOUNT", gate, "(0", "+inf") -- an error where that key is of another type
  if type(count) == "number" and count > 0 then
    found[#found + 1] = gate
    found[#found + 1] = count
  end
end
return found
