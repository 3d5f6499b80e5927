-- A tie is what links a job to a key of ours: {kind, key, …}. What a job that is done with it gives back.
-- include _gates
local function leaveGate(base, id, tie, now, keep)
  redis.call("ZREM", tie.key, id)
  return release(base, tie.key, tie.max, now, keep)
end

-- A rate limit: the list holds the starts of the last `max` jobs, the latest first; `booked` is the line of those that
-- wait for a turn, each delayed until then.

-- Those at the head of the line that will never start must not keep their turns.
local function passOver(base, line, own)
  local head = redis.call("ZRANGE", line, 0, 0)[1]
  while head and head ~= own do
    local isWanted = isUnfinished(base, head)
      and redis.call("EXISTS", base .. "job:superseded:" .. head, base .. "job:cancel:" .. head) == 0
    if isWanted then
      return
    end
    redis.call("ZREM", line, head)
    head = redis.call("ZRANGE", line, 0, 0)[1]
  end
end

-- When the job at that place of the line (0 is the head) may start.
local function turnOf(tie, place, now)
  local started = redis.call("LINDEX", tie.key, tie.max - 1 - place % tie.max)
  local turn = started and math.max(now, tonumber(started) + tie.per) or now
  return turn + math.floor(place / tie.max) * tie.per
end

-- Something at the head of the line has changed: those who may start next wake up at their turn, not when it once was.
local function moveUp(base, tie, now)
  passOver(base, tie.booked)
  for place = 0, math.min(tie.max, 10) - 1 do
    local id = redis.call("ZRANGE", tie.booked, place, place)[1]
    local score = id and tonumber(redis.call("ZSCORE", base .. "delayed", id) or nil)
    local turn = turnOf(tie, place, now)
    if score and math.floor(score / 0x1000) ~= turn then
      delayUntil(base, id, turn)
    elseif not id or score then
      return
    end
  end
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
    elseif tie.kind == "rate" and redis.call("ZREM", tie.booked, id) == 1 then
      moveUp(base, tie, now)
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
