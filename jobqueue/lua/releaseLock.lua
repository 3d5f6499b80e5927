--[[
  Give a singleton's lock back, if it is still this run's: a new holder's is never touched.
  KEYS[1] lock (hash: job, token, fence)
  ARGV[1] token of this run
  Returns: 1 released, 0 it was not ours
]]
if redis.call("HGET", KEYS[1], "token") == ARGV[1] then
  return redis.call("DEL", KEYS[1])
end
return 0
