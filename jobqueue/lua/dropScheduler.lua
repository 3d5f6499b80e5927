--[[
  Remove a scheduler of ours that no enabled row stands for, with the job of its next slot.
  Around: removeJobScheduler, removeJob
  KEYS[1] job:cron:schedulers  KEYS[2] job:cron:passes
  ARGV[1] base  ARGV[2] the scheduler's id  ARGV[3] the number of the pass
  Returns: "dropped", "overtaken" by a newer pass, or "foreign" where it is not ours.
]]
local function removeJobScheduler(keys, args)
  return shipped(keys, args)
end
-- include _cron
-- include _dropScheduler
if not takeTurn(KEYS[2], tonumber(ARGV[3])) then
  return "overtaken"
end
if redis.call("HDEL", KEYS[1], ARGV[2]) == 0 then
  return "foreign"
end
local slot = redis.call("ZSCORE", ARGV[1] .. "repeat", ARGV[2])
if slot then
  local time = redis.call("TIME")
  local now = time[1] * 1000 + math.floor(time[2] / 1000)
  local _, fired = stateOfSlot(ARGV[1], ARGV[2], slot, now)
  rememberFired(ARGV[1], ARGV[2], fired, now)
end
dropScheduler(ARGV[1], ARGV[2])
return "dropped"
