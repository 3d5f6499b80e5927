--[[
  Take hold of a queue for a relay, and look at what that must know of it. Each hold makes void what was sent under an
  earlier one, whoever had it: also calls of its own that the network kept back.
  KEYS[1] the hold, KEYS[2] the overflow flag
  ARGV: base, hold, time to live (ms)
  Returns: {jobs that wait or run, jobs refused since the flag was set (0 without one), those of them that are settled,
    ms since one was refused or settled}
]]
-- include _outbox
redis.call("SET", KEYS[1], ARGV[2], "PX", ARGV[3])
local flag = redis.call("HMGET", KEYS[2], "refused", "settled", "at")
return {depthOf(ARGV[1]), tonumber(flag[1] or 0), tonumber(flag[2] or 0), flag[3] and clock() - flag[3] or 0}
