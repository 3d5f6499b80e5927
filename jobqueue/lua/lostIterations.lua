--[[
  Schedulers of ours that would stop: the job of their next slot is gone, or was picked up by a worker that did not live
  to make the next one. One caller at a time looks.
  KEYS[1] job:cron:schedulers  KEYS[2] job:cron:look  KEYS[3] repeat
  ARGV[1] base  ARGV[2] how often somebody looks, ms  ARGV[3] ms that a worker has for making the next one
  Returns: for each {scheduler id, id of the job that was picked up or ""}
]]
-- include _cron
local base = ARGV[1]
if redis.call("EXISTS", KEYS[1]) == 0 or not redis.call("SET", KEYS[2], "1", "NX", "PX", ARGV[2]) then
  return {}
end
local time = redis.call("TIME")
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local lost = {}
for _, id in ipairs(redis.call("HKEYS", KEYS[1])) do
  local slot = redis.call("ZSCORE", KEYS[3], id)
  local state, _, since
  if slot then
    state, _, since = stateOfSlot(base, id, slot, now)
  end
  if not state or state == "over" then
    table.insert(lost, {id, ""})
  elseif state == "picked" and math.abs(now - since) > tonumber(ARGV[3]) then -- by a clock that may be wrong
    table.insert(lost, {id, slotJob(id, slot)})
  end
end
return lost
