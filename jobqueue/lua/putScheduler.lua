--[[
  Make a scheduler as its row has it, unless it is. One that is as it should be, and whose next job is there, is not
  touched: its next run does not move. Where only what it runs has changed and not when, the next run keeps its slot.
  Around: addJobScheduler, removeJobScheduler, removeJob
  KEYS, ARGV: those of addJobScheduler, whose next milliseconds may be "" for a look, and then
    KEYS[#KEYS - 1] job:cron:schedulers  KEYS[#KEYS] job:cron:passes
    ARGV[#ARGV] msgpack: base, row (its id), pass
  Returns: {"kept", slot}, {"added", slot} or {"replaced", slot}; {"stale", after} where it is not as it should be, and
    the next milliseconds must be later than these: slots up to there have been fired; {"foreign", 0} where a scheduler
    of that id is not ours; {"overtaken", 0} by a newer pass.
]]
-- include _cron
-- include _dropScheduler
local asked = cmsgpack.unpack(ARGV[#ARGV])
local ours, passes = KEYS[#KEYS - 1], KEYS[#KEYS]
local base, id = asked.base, ARGV[3]
local repeatKey, hash = KEYS[1], KEYS[1] .. ":" .. id
local wanted = cmsgpack.unpack(ARGV[2])

-- Compared as values: the order of the fields in JSON is nobody's promise.
local function isSame(one, other)
  if type(one) ~= "table" or type(other) ~= "table" then
    return one == other
  end
  for name, value in pairs(one) do
    if not isSame(value, other[name]) then
      return false
    end
  end
  for name in pairs(other) do
    if one[name] == nil then
      return false
    end
  end
  return true
end

local function readJson(text)
  local read, value = pcall(cjson.decode, text)
  return read and value or nil
end

local function isAsWanted(stored)
  for name, value in pairs(wanted) do
    if stored[name] ~= value then
      return false
    end
  end
  return not (stored.every or stored.limit or stored.startDate or stored.endDate)
    and stored.data == ARGV[4]
    and isSame(readJson(stored.opts or "{}"), cmsgpack.unpack(ARGV[5]))
end

if not takeTurn(passes, asked.pass) then
  return {"overtaken", 0}
end
local isOurs = redis.call("HEXISTS", ours, id) == 1
local slot = redis.call("ZSCORE", repeatKey, id)
local stored = {}
local flat = redis.call("HGETALL", hash)
for at = 1, #flat, 2 do
  stored[flat[at]] = flat[at + 1]
end
if not isOurs and (slot or #flat > 0) then
  return {"foreign", 0}
end
local time = redis.call("TIME")
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local state, fired = nil, firedBefore(base, id)
if slot then
  state, fired = stateOfSlot(base, id, slot, now)
end
if (state == "waiting" or state == "picked") and isAsWanted(stored) then
  redis.call("HSET", ours, id, asked.row)
  return {"kept", tonumber(slot)}
end
local keepsSlot = state == "waiting" and stored.pattern == wanted.pattern and stored.tz == wanted.tz
local next = keepsSlot and tonumber(slot) or tonumber(ARGV[1])
local after = math.max(now, fired)
if not keepsSlot and (not next or next <= after) then
  return {"stale", after}
end
if not keepsSlot and hasRun(base, slotJob(id, next)) then
  return {"stale", next}
end
dropScheduler(base, id)
removeUnlessPickedUp(base, slotJob(id, next)) -- left by a scheduler that lost its place in `repeat`
local options = cmsgpack.unpack(ARGV[6])
options.prevMillis, options.timestamp = next, after
local args = {unpack(ARGV)}
args[1], args[6], args[7] = exact(next), cmsgpack.pack(options), exact(after)
local answer = shipped(KEYS, args)
if type(answer) == "number" then
  return redis.error_reply("ERR scheduler " .. id .. " cannot be added: " .. answer)
end
redis.call("HSET", ours, id, asked.row)
return {isOurs and "replaced" or "added", next}
