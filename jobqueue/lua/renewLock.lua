--[[
  Let a singleton's lock live on, if it is still this run's.
  KEYS[1] lock (hash: job, token, fence)
  ARGV[1] token of this run
  ARGV[2] ms that the lock lives without renewal
  Returns: 1 renewed, 0 lost
]]
if redis.call("HGET", KEYS[1], "token") == ARGV[1] then
  return redis.call("PEXPIRE", KEYS[1], ARGV[2])
end
return 0
