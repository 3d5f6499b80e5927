-- A tie is what links a job to a key of ours: {kind, key, …}. What a job that is done with it gives back.
-- include _gates
local function leaveGate(base, id, tie, now, keep)
  redis.call("ZREM", tie.key, id)
  return release(base, tie.key, tie.max, now, keep)
end

local function endHolding(key, id)
  if redis.call("HGET", key, "holder") == id then
    redis.call("DEL", key)
  end
end

local function unlock(tie, id)
  local lock = redis.call("HMGET", tie.key, "job", "token")
  if lock[1] == id and (tie.token == "" or lock[2] == tie.token) then
    redis.call("DEL", tie.key)
  end
end

local function clearMarks(base, id)
  redis.call("DEL", base .. "job:superseded:" .. id, base .. "job:cancel:" .. id, base .. "job:ack:" .. id)
end

-- The job is over: nothing stays. Returns how many parked jobs were let through.
local function giveBackAll(base, id, ties, now, keep)
  local released = 0
  for _, tie in ipairs(ties) do
    if tie.kind == "lane" or tie.kind == "unique" then
      endHolding(tie.key, id)
    elseif tie.kind == "order" or tie.kind == "limit" then
      released = released + leaveGate(base, id, tie, now, keep)
    elseif tie.kind == "lock" then
      unlock(tie, id)
    elseif tie.kind == "rate" then
      redis.call("ZREM", tie.booked, id)
    elseif tie.kind == "related" then
      redis.call("SREM", tie.key, id)
    end
  end
  clearMarks(base, id)
  return released
end

-- The try is over, and another follows at `startsIn` ms: the lock and, unless the job waits for its turn already, the
-- place under a limit are given back; what is kept outlives the wait.
local function giveBackTry(base, id, ties, now, keep, startsIn)
  local released = 0
  for _, tie in ipairs(ties) do
    if tie.kind == "lock" then
      unlock(tie, id)
    elseif tie.kind == "limit" and startsIn then
      released = released + leaveGate(base, id, tie, now, keep)
    elseif tie.kind == "ack" then
      redis.call("DEL", tie.key)
    elseif tie.kind ~= "rate" then
      extend(tie.key, (startsIn or 0) + keep)
    end
  end
  return released
end
