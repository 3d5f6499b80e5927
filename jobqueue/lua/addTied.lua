--[[
  Add a job and claim its ties in one step: a failed add evicts nobody, and a job that exists already claims nothing. A
  job that may not run yet (its order key or its limit is taken) is added parked.
  Around: an add script, addParentJob
  KEYS, ARGV: those of the shipped add script, and then
    ARGV[#ARGV] msgpack: base, jobId ("" for a new one), now, startsIn (ms), priority, keep (ms), ties, below (how many
      jobs may wait or run at most, 0 for any number), row (key of the outbox's row, "" for none), hold,
      lock of the creator's job ("" for none), token of its run
  Returns: {1 if created else 0, job id, id of the superseded job or ""}; {-1, id of the unfinished job} where
    duplicates are rejected; {-2, ""} where the queue is full; {-3, ""} where the hold is another's; {-4, ""} where
    the creator's job is not that run's any more; {-5, ""} where the queue is full but will not be in a moment; or the shipped script's negative code.
]]
-- include _ties
-- include _claimLane
-- include _outbox
local asked = cmsgpack.unpack(ARGV[#ARGV])
local base, now, keep = asked.base, asked.now, asked.keep
if asked.lock ~= "" and redis.call("GET", asked.lock) ~= asked.token then
  return {-4, ""}
end
local isMoved = asked.row ~= ""
local answer = isMoved and answerOfRow(base, asked)
if answer then
  return answer
end
if asked.jobId ~= "" and redis.call("EXISTS", base .. asked.jobId) == 1 then
  local id = shipped(KEYS, ARGV)
  if type(id) == "number" then
    return id
  end
  if isMoved then
    noteMoved(base, asked, id)
  end
  return {0, id, ""}
end
answer = asked.below > 0 and answerOfFull(base, asked.below)
if answer then
  return answer
end
local isParked = false
for _, tie in ipairs(asked.ties) do
  if tie.kind == "unique" then
    local holder = holderOf(base, tie.key)
    if holder then
      if isMoved then
        noteMoved(base, asked, holder)
      end
      return {-1, holder}
    end
  elseif tie.kind == "order" or (tie.kind == "limit" and asked.startsIn == 0) then
    isParked = isParked or not hasRoom(tie.key, tie.max)
  end
end
local id
if isParked then
  local function of(word)
    return base .. word
  end
  local keys = {of("meta"), of("id"), of("delayed"), of("waiting-children"), of("completed"), of("events")}
  id = addParentJob(keys, ARGV)
else
  id = shipped(KEYS, ARGV)
end
if type(id) == "number" then
  return id
end
clearMarks(base, id) -- left by a job of that id which was removed
local job = {id = id, priority = asked.priority, startsIn = asked.startsIn, ranBefore = false}
local superseded, mayRun = "", true
for _, tie in ipairs(asked.ties) do
  if tie.kind == "lane" and not (isMoved and newerHolder(base, tie.key, now)) then
    superseded = claimLane(base, tie.key, id, now, now, keep)
  elseif tie.kind == "unique" then
    hold(base, tie.key, id)
    redis.call("PEXPIRE", tie.key, exact(asked.startsIn + keep))
  elseif tie.kind == "related" then
    redis.call("SADD", tie.key, id)
    redis.call("PEXPIRE", tie.key, exact(math.max(redis.call("PTTL", tie.key), asked.startsIn + keep)))
    for _, other in ipairs(redis.call("SRANDMEMBER", tie.key, 2)) do -- so that those which nobody gave back do not pile up
      if not isUnfinished(base, other) then
        redis.call("SREM", tie.key, other)
      end
    end
  elseif tie.kind == "order" or (tie.kind == "limit" and asked.startsIn == 0) then
    redis.call("ZREM", tie.key, id) -- left by a job of that id which was removed
    mayRun = mayRun and pass(base, tie, job, now, keep)
  elseif tie.kind == "limit" and redis.call("ZREM", tie.key, id) == 1 then -- likewise; a delayed job asks when it is due
    if release(base, tie.key, tie.max, now, keep) > 0 then
      markReady(base)
    end
  end
end
if isParked and mayRun then -- only jobs that were removed had been in its way
  unpark(base, id, now)
  markReady(base)
end
if isMoved then
  noteMoved(base, asked, id)
end
return {1, id, superseded}
