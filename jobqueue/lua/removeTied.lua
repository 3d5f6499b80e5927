--[[
  Remove a job with its children, and give back what it held, so that the next in line goes on at once. Of one that is
  not a job, that is active though its lock has expired, or that has left a state, the shipped script knows nothing.
  Around: removeJob
  KEYS, ARGV: those of removeJob, and then
    ARGV[#ARGV] msgpack: base, jobId, now, keep (ms), state (in which the job must be, or ""), ties
  Returns: "removed", "missing", "active", "locked", "scheduled" or "elsewhere"
]]
-- include _ties
-- include _states
local asked = cmsgpack.unpack(ARGV[#ARGV])
local base, id = asked.base, asked.jobId
local job = redis.call("HMGET", base .. id, "name", "timestamp")
if not (job[1] and job[2]) then
  return "missing"
end
if asked.state ~= "" and not isIn(base, asked.state, id) then
  return "elsewhere"
end
if redis.call("LPOS", base .. "active", id) then
  return "active"
end
local answer = shipped(KEYS, ARGV)
if answer ~= 1 then
  return answer == -8 and "scheduled" or "locked"
end
if giveBackAll(base, id, asked.ties, asked.now, asked.keep) > 0 then
  markReady(base)
end
return "removed"
