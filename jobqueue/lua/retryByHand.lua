--[[
  Put a failed job back to waiting, free of the marks of its former life, and count it again among its object's jobs.
  Before an order key it stands before all that were enqueued after it; a limit it asks when it is picked up.
  Around: reprocessJob
  KEYS, ARGV: those of reprocessJob, and then
    ARGV[#ARGV] msgpack: base, jobId, now, keep (ms), ties
  Returns: 1; {-1, id of the unfinished job} where duplicates are rejected; or the shipped script's negative code.
]]
-- include _ties
local asked = cmsgpack.unpack(ARGV[#ARGV])
local base, id = asked.base, asked.jobId
for _, tie in ipairs(asked.ties) do
  local holder = tie.kind == "unique" and holderOf(base, tie.key)
  if holder and holder ~= id then
    return {-1, holder}
  end
end
local answer = shipped(KEYS, ARGV)
if answer ~= 1 then
  return answer
end
clearMarks(base, id)
local function park()
  redis.call("LREM", base .. "wait", 0, id)
  redis.call("ZREM", base .. "prioritized", id)
  redis.call("ZADD", base .. "waiting-children", asked.now, id)
  redis.call("XADD", base .. "events", "*", "event", "waiting-children", "jobId", id, "prev", "waiting")
end
if redis.call("SCARD", base .. id .. ":dependencies") > 0 then
  park() -- it was cancelled while it waited for its children, and waits on
end
for _, tie in ipairs(asked.ties) do
  if tie.kind == "unique" then
    hold(base, tie.key, id)
    redis.call("PEXPIRE", tie.key, exact(asked.keep))
  elseif tie.kind == "related" then
    redis.call("SADD", tie.key, id)
    redis.call("PEXPIRE", tie.key, exact(math.max(redis.call("PTTL", tie.key), asked.keep)))
  elseif tie.kind == "order" then
    local enqueuedAt = tonumber(redis.call("HGET", base .. id, "timestamp")) or 0
    local job = {id = id, timestamp = enqueuedAt, startsIn = 0, ranBefore = true}
    if not pass(base, tie, job, asked.now, asked.keep) then
      park()
    end
  end
end
return 1
