--[[
  Take a singleton's lock. A job that holds it already (its worker died) takes its own lock over.
  KEYS[1] lock (hash: job, token, fence)
  KEYS[2] last fence number (string)
  ARGV[1] job id
  ARGV[2] token of this run
  ARGV[3] ms that the lock lives without renewal
  ARGV[4] ms that the fence outlives it; by then the clock, which is its floor, has passed any number given out
  Returns: {fence, ""} where taken, else {0, job id of the holder}
]]
local holder = redis.call("HGET", KEYS[1], "job")
if holder and holder ~= ARGV[1] then
  return {0, holder}
end
local time = redis.call("TIME")
local floor = time[1] * 1000000 + time[2]
local fence = math.max(floor, tonumber(redis.call("GET", KEYS[2]) or 0) + 1)
redis.call("SET", KEYS[2], string.format("%.0f", fence), "PX", ARGV[4])
redis.call("HSET", KEYS[1], "job", ARGV[1], "token", ARGV[2], "fence", string.format("%.0f", fence))
redis.call("PEXPIRE", KEYS[1], ARGV[3])
return {fence, ""}
