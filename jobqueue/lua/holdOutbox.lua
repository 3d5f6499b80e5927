--[[
  Take the lease of a queue's outbox, or renew it, and look at what the relay must know of the queue.
  KEYS[1] the lease, KEYS[2] the overflow flag
  ARGV: base, token, time to live (ms)
  Returns: {1 if the lease is the token's else 0, ms until it ends, jobs that wait or run, how many were spilled since
    the flag was set (0 without one), ms since the last was}
]]
-- include _outbox
local base, token, ttl = ARGV[1], ARGV[2], ARGV[3]
local holder = redis.call("GET", KEYS[1])
if not holder or holder == token then
  redis.call("SET", KEYS[1], token, "PX", ttl)
end
local flag, time = redis.call("HMGET", KEYS[2], "spilled", "at"), redis.call("TIME")
local age = flag[2] and time[1] * 1000 + math.floor(time[2] / 1000) - flag[2] or 0
return {
  (not holder or holder == token) and 1 or 0,
  redis.call("PTTL", KEYS[1]),
  depthOf(base),
  tonumber(flag[1] or 0),
  age,
}
