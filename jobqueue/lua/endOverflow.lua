--[[
  Take the overflow flag away, unless more jobs have been spilled since the relay looked.
  KEYS[1] the overflow flag
  ARGV[1] how many were spilled when it looked
  Returns: 1 where it is gone, else 0
]]
if redis.call("HGET", KEYS[1], "spilled") == ARGV[1] then
  return redis.call("DEL", KEYS[1])
end
return 0
