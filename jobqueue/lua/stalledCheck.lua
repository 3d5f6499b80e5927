--[[
  Put active jobs without a lock back to waiting. Where one of them is about to get its last claim, every worker is told to
  be careful from now on: the job must not be blamed for a death that another one causes beside it.
  Around: moveStalledJobsToWait
  KEYS, ARGV: those of the shipped script, and then
    KEYS[#KEYS-1] care (string)
    KEYS[#KEYS]   channel of signals
    ARGV[#ARGV-1] stalls after which the next claim is the last
    ARGV[#ARGV]   ms that care is taken
  Returns: the ids of the jobs; the ms until the next check, whoever makes it.
]]
local stalled = shipped(KEYS, ARGV)
for _, id in ipairs(stalled) do
  if tonumber(redis.call("HGET", ARGV[2] .. id, "stc") or 0) >= tonumber(ARGV[#ARGV - 1]) then
    redis.call("SET", KEYS[#KEYS - 1], id, "PX", ARGV[#ARGV])
    redis.call("PUBLISH", KEYS[#KEYS], "careful\n" .. id .. "\n")
    break
  end
end
return { stalled, redis.call("PTTL", KEYS[4]) }
