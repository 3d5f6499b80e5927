--[[
  Cancel a job. One that has not started ends failed in this step, and what it held is given back. One that is active, or
  a job scheduler's, whose successor is made at its pick-up, is marked: its worker, or the one that picks it up, ends it.
  Around: moveToFinished
  KEYS, ARGV: those of moveToFinished, and then
    ARGV[#ARGV] msgpack: base, jobId, token, now, keep (ms), lockMs, reason, state (in which the job must be, or ""), ties
  Returns: "cancelled", "marked", "completed", "failed", "missing" or "elsewhere"; or the shipped script's negative code.
]]
-- include _ties
-- include _states
local asked = cmsgpack.unpack(ARGV[#ARGV])
local base, id = asked.base, asked.jobId
local job = redis.call("HMGET", base .. id, "name", "finishedOn", "rjk", "timestamp")
if not job[1] then
  return "missing"
end
if asked.state ~= "" and not isIn(base, asked.state, id) then
  return "elsewhere"
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
local function takeOutOfWait() -- from the end that is near: whoever cancels all of them begins with the newest
  local isNew = redis.call("LPOS", base .. "wait", id, "MAXLEN", 1000)
  return redis.call("LREM", base .. "wait", isNew and 1 or -1, id)
end
if taken == 0 and takeOutOfWait() == 0 then
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
