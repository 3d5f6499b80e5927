-- Remove a scheduler and the job of its next slot. A job that was picked up goes on: it is a run, not a plan.
-- Needs the shipped scripts removeJobScheduler and removeJob.
local function removeUnlessPickedUp(base, id)
  if redis.call("EXISTS", base .. id) == 1 and not hasRun(base, id) then
    removeJob({base .. id, base .. "repeat"}, {id, "0", base})
  end
end

-- A scheduler that comes back soon must not fire again what a clock that is ahead has fired before its time.
local function rememberFired(base, scheduler, fired, now)
  if fired > now then
    redis.call("SET", firedKey(base, scheduler), exact(fired), "PX", exact(fired - now + 1000))
  end
end

local function dropScheduler(base, scheduler)
  local slot = redis.call("ZSCORE", base .. "repeat", scheduler)
  removeJobScheduler({base .. "repeat", base .. "delayed", base .. "events"}, {scheduler, base})
  redis.call("DEL", base .. "repeat:" .. scheduler) -- of a broken one that lost its place in `repeat`
  if slot then
    removeUnlessPickedUp(base, slotJob(scheduler, slot)) -- it is due: the shipped script only looks at delayed ones
  end
end
