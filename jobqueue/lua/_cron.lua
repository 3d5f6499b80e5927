-- What the scripts of cron share: who may write, and whether a scheduler's next job is there.

-- A pass that began after another one read the table later. Once it has begun to write, the older one may not: what
-- that knows may be out of date. So may what one knows whose number was not given out here: Redis has lost its data since.
local function takeTurn(passes, pass)
  local known = redis.call("HMGET", passes, "begun", "applied")
  local begun, applied = tonumber(known[1] or 0), tonumber(known[2] or 0)
  if pass < applied or pass > begun then
    return false
  end
  redis.call("HSET", passes, "applied", pass)
  return true
end

-- Whole milliseconds as text: Lua would write large numbers in a shorter, inexact way.
local function exact(number)
  return string.format("%.0f", number)
end

local function slotJob(scheduler, slot)
  return "repeat:" .. scheduler .. ":" .. (type(slot) == "number" and exact(slot) or slot)
end

local function isQueued(base, id)
  for _, state in ipairs({"delayed", "prioritized", "waiting-children"}) do
    if redis.call("ZSCORE", base .. state, id) then
      return true
    end
  end
  return redis.call("LPOS", base .. "wait", id) or redis.call("LPOS", base .. "active", id)
end

-- The job of a scheduler's slot.
-- Returns its state: "waiting" for its slot or for a worker, "picked" up by the worker who makes the next one, "over", or
--   nil where it is gone; the time up to which slots have been fired, whatever the clocks say (the job was made when the
--   slot before it was picked up, by a clock that may be ahead); and when it was picked up.
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
  if tonumber(slot) > now and not isQueued(base, id) then -- of one that is due nobody looks so closely
    return nil, made
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
