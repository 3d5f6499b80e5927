--[[
  End a singleton's try and give its lock back in the same step, before the next job is fetched, which may want it. A
  run whose end was not written keeps its lock, so that its redelivery takes it over instead of being skipped.
  KEYS, ARGV: those of the shipped script, and then
    KEYS[#KEYS]   lock (hash: job, token, fence)
    ARGV[#ARGV]   token of this run
  Returns: the shipped script's answer.
]]
local lock, token = KEYS[#KEYS], ARGV[#ARGV]
local answer = shipped()
if redis.call("HGET", lock, "token") == token then
  redis.call("DEL", lock)
end
return answer
