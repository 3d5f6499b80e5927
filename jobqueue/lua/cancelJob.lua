--[[
  Cancel a job. One that has not started ends failed in this step, and what it held is given back. One that is active, or
  a job scheduler's, whose successor is made at its pick-up, is marked: its worker, or the one that picks it up, ends it.
  Around: moveToFinished
  KEYS, ARGV: those of moveToFinished, and then
    ARGV[#ARGV] msgpack: base, jobId, token, now, keep (ms), lockMs, reason, ties
  Returns: "cancelled", "marked", "completed", "failed" or "missing"; or the shipped script's negative code.
]]
-- include _ties
local asked = cmsgpack.unpack(ARGV[#ARGV])
local base, id = asked.base, asked.jobId
local job = redis.call("HMGET", base .. id, "name", "finishedOn", "rjk", "timestamp")
if not job[1] then
  return "missing"
end
if job[2] then
  return redis.call("ZSCORE", base .. "completed", id) and "completed" or "failed"
end
if job[3] or redis.call("LPOS", base .. "active", id) then
  local mark = (job[4] or "") .. ":" .. asked.reason
  redis.call("SET", base .. "job:cancel:" .. id, mark, "PX", exact(msUntilStart(base, id, asked.now) + asked.keep))
  redis.call("PUBLISH", base .. "job:signals", "cancelled\n" .. id .. "\n" .. mark)
  return "marked"
end
local taken = redis.call("ZREM", base .. "delayed", id)
  + redis.call("ZREM", base .. "prioritized", id)
  + redis.call("ZREM", base .. "waiting-children", id)
if taken == 0 and redis.call("LREM", base .. "wait", -1, id) == 0 then
  return "missing"
end
redis.call("LPUSH", base .. "active", id)
redis.call("SET", base .. id .. ":lock", asked.token, "PX", asked.lockMs)
local released = giveBackAll(base, id, asked.ties, asked.now, asked.keep)
local answer = shipped(KEYS, ARGV)
if released > 0 then
  markReady(base)
end
return type(answer) == "number" and answer < 0 and answer or "cancelled"
