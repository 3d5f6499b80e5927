--[[
  Schedulers of ours that would stop: the job of their next slot is gone, or was picked up by a worker that did not live
  to make the next one. One caller at a time looks: at those whose slot has come, and at some of the others in turn.
  KEYS[1] job:cron:schedulers  KEYS[2] job:cron:look  KEYS[3] repeat  KEYS[4] job:cron:passes
  ARGV[1] base  ARGV[2] how often somebody looks, ms  ARGV[3] ms that a worker has for making the next one
  ARGV[4] most to look at
  Returns: {"looked", …}, for each of them {scheduler id, id of the job that was picked up or ""}; or {"held"} where
    somebody else has just looked.
]]
-- include _cron
local base, most = ARGV[1], tonumber(ARGV[4])
if not redis.call("SET", KEYS[2], "1", "NX", "PX", ARGV[2]) then
  return {"held"}
end
local time = redis.call("TIME")
local now = time[1] * 1000 + math.floor(time[2] / 1000)

local suspects = redis.call("ZRANGEBYSCORE", KEYS[3], "-inf", now, "LIMIT", 0, most)
local cursor = redis.call("HGET", KEYS[4], "looked") or "0"
local some = redis.call("HSCAN", KEYS[1], cursor, "COUNT", most)
redis.call("HSET", KEYS[4], "looked", some[1])
redis.call("PEXPIRE", KEYS[4], 86400000)
for at = 1, #some[2], 2 do
  table.insert(suspects, some[2][at])
end

local found, seen = {"looked"}, {}
for _, id in ipairs(suspects) do
  local slot = not seen[id] and redis.call("ZSCORE", KEYS[3], id)
  if not seen[id] and redis.call("HEXISTS", KEYS[1], id) == 1 then
    local state, _, since
    if slot then
      state, _, since = stateOfSlot(base, id, slot, now)
    end
    if not state or state == "over" then
      table.insert(found, {id, ""})
    elseif state == "picked" and math.abs(now - since) > tonumber(ARGV[3]) then -- by a clock that may be wrong
      table.insert(found, {id, slotJob(id, slot)})
    end
  end
  seen[id] = true
end
return found
