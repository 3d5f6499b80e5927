--[[
  End a try, unless the job was marked meanwhile, and give back what it held, before the next job is fetched, which may
  want it. A run whose end was not written keeps its lock, so that its redelivery takes it over instead of being skipped.
  Around: moveToFinished, moveToDelayed, retryJob, moveJobFromActiveToWait or moveToWaitingChildren
  KEYS, ARGV: those of the shipped script, and then
    KEYS[#KEYS] mark of a cancelled job
    ARGV[#ARGV] "" for the finish of a job without ties, else msgpack: base, jobId, token, now, keep (ms), ties,
      heeded (the outcome is an answer to a mark), ended (no try follows), startsIn (ms until the next, if it waits),
      completed (it succeeded), waits (for its children), failure ({name, attempt, reason, delay} of a try that another follows)
  Returns: {"cancelled", reason}, {"superseded", id of the newer job}, {"acknowledged", how} or {"childless", "done" or "never"} (it waits for
    children, and has none that is unfinished) where nothing was done because of that, else the shipped script's answer.
]]
-- include _saidOf
if ARGV[#ARGV] == "" then
  local reason = saidOf(KEYS[12], KEYS[#KEYS])
  return reason and {"cancelled", reason} or shipped(KEYS, ARGV)
end
-- include _ties
local asked = cmsgpack.unpack(ARGV[#ARGV])
if not asked.heeded then
  local reason = saidOf(asked.base .. asked.jobId, KEYS[#KEYS])
  if reason then
    return {"cancelled", reason}
  end
end
if not (asked.heeded or asked.completed) then -- done is done, though the try then failed or was given back
  for _, tie in ipairs(asked.ties) do
    local how = tie.kind == "ack" and saidOf(asked.base .. asked.jobId, tie.key)
    if how and how ~= "requeue" then
      return {"acknowledged", how}
    end
  end
end
local base, id, now, keep = asked.base, asked.jobId, asked.now, asked.keep
if not asked.heeded then
  for _, tie in ipairs(asked.ties) do
    local by = tie.kind == "lane" and redis.call("GET", base .. "job:superseded:" .. id)
    if by then
      return {"superseded", by}
    end
  end
end
local jobKey = base .. id
local pending = redis.call("SCARD", jobKey .. ":dependencies")
if asked.waits and pending == 0 and redis.call("EXISTS", jobKey .. ":unsuccessful") == 0 then
  return {"childless", redis.call("EXISTS", jobKey .. ":processed", jobKey .. ":failed") > 0 and "done" or "never"}
end
local function willBeDone() -- else the shipped script says what is wrong, and nothing is given back
  if redis.call("GET", jobKey .. ":lock") ~= asked.token then
    return false
  end
  return not (asked.completed or asked.waits)
    or redis.call("EXISTS", jobKey .. ":unsuccessful") == 0 and (asked.waits or pending == 0)
end
local released, isDone = 0, willBeDone()
if isDone then
  if asked.ended then
    released = giveBackAll(base, id, asked.ties, now, keep)
  else
    released = giveBackTry(base, id, asked.ties, now, keep, asked.startsIn)
  end
  if asked.failure then
    redis.call("XADD", base .. "events", "*", "event", "attempt-failed", "jobId", id, unpack(asked.failure))
  end
end
local answer = shipped(KEYS, ARGV)
local fetched = type(answer) == "table" and type(answer[1]) == "table" and 1 or 0
local isReleased = isDone and not (asked.ended or asked.startsIn or asked.failure) -- the shipped script leaves no marker by priority
if released > fetched or isReleased then
  markReady(base)
end
return answer
