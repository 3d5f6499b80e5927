-- What the scripts of cron share: who may write, and whether a scheduler's next job is there.

-- A pass that began after another one read the table later. Once it has begun to write, the older one may not: what
-- that knows may be out of date.
local function isOvertaken(passes, pass)
  local applied = tonumber(redis.call("HGET", passes, "applied") or 0)
  if pass < applied then
    return true
  end
  redis.call("HSET", passes, "applied", pass)
  return false
end

-- Whole milliseconds as text: Lua would write large numbers in a shorter, inexact way.
local function exact(number)
  return string.format("%.0f", number)
end

local function slotJob(scheduler, slot)
  return "repeat:" .. scheduler .. ":" .. (type(slot) == "number" and exact(slot) or slot)
end

-- The job of a scheduler's slot, and the time up to which its slots have been fired, whatever the clocks say.
-- Returns "waiting" for its slot or for a worker, made when the slot before was picked up by a clock that may be ahead;
--   "picked" up, when (by its worker, who makes the next one); "over"; or nil where it is gone.
local function stateOfSlot(base, scheduler, slot, now)
  local id = slotJob(scheduler, slot)
  local found = redis.call("HMGET", base .. id, "timestamp", "processedOn", "finishedOn")
  local made, picked, over = tonumber(found[1] or nil), tonumber(found[2] or nil), found[3]
  if not made then
    return nil, 0
  end
  if picked or over then
    return over and "over" or "picked", tonumber(slot), picked
  end
  if tonumber(slot) > now and not redis.call("ZSCORE", base .. "delayed", id) then
    return nil, made -- nobody would ever promote it
  end
  return "waiting", made
end

local function firedKey(base, scheduler)
  return base .. "job:cron:fired-" .. scheduler
end

-- The time up to which slots of a scheduler that was removed have been fired, if that is still to come.
local function firedBefore(base, scheduler)
  return tonumber(redis.call("GET", firedKey(base, scheduler)) or 0)
end

local function hasRun(base, id)
  local found = redis.call("HMGET", base .. id, "timestamp", "processedOn", "finishedOn")
  return found[1] and (found[2] or found[3])
end
