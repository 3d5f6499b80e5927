--[[
  How many unfinished jobs each of some queues has. Reads only.
  KEYS a list or a zset for each state, queue after queue
  ARGV[1] number of states
  Returns: a number for each queue; what is neither list nor zset counts nothing
]]
local counts, states = {}, tonumber(ARGV[1])
for first = 1, #KEYS, states do
  local sum = 0
  for place = first, first + states - 1 do
    local count = redis.pcall("ZCARD", KEYS[place])
    if type(count) == "table" then
      count = redis.pcall("LLEN", KEYS[place])
    end
    sum = sum + (type(count) == "number" and count or 0)
  end
  counts[#counts + 1] = sum
end
return counts
