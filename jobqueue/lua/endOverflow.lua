--[[
  Take the overflow flag away, unless more jobs have been refused or settled since the relay looked.
  KEYS[1] the overflow flag
  ARGV: how many had been refused, how many of them settled
  Returns: 1 where it is gone, else 0
]]
local flag = redis.call("HMGET", KEYS[1], "refused", "settled")
if (flag[1] or "0") == ARGV[1] and (flag[2] or "0") == ARGV[2] then
  return redis.call("DEL", KEYS[1])
end
return 0
