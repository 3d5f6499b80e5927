--[[
  Remove some jobs that wait to run, of those that come next. Contains drain unchanged.

  The shipped script removes all jobs in one step, and where one must stay among those that wait it takes another out of
  the list in its place. So jobs are handed to it by windows: a copy of some ids, under a key of ours that this call ends.
  KEYS[1] the state: wait, prioritized or delayed
  KEYS[2] repeat: the job schedulers, whose next jobs stay
  ARGV[1] base
  ARGV[2] the state's word
  ARGV[3] most to look at
  ARGV[4] how many to pass over: those that were looked at before, and stay
  Returns: {how many were looked at, how many of them were removed}
]]
local state, schedulers = KEYS[1], KEYS[2]
local base, word, most, skip = ARGV[1], ARGV[2], tonumber(ARGV[3]), tonumber(ARGV[4])
local isList = word == "wait"
local window, nothing = base .. "job:draining:window", base .. "job:draining:nothing"

local function isNextOfScheduler(id)
  local scheduler, slot = string.match(id, "^repeat:(.*):(%d+)$")
  return scheduler and redis.call("ZSCORE", schedulers, scheduler) == slot
end

-- As cleanSome takes them out; `ids` are the last of the list but `skip`.
local function takeOutOfList(ids, isRemoved, count)
  for place, id in ipairs(ids) do
    if isRemoved[id] then
      redis.call("LSET", state, place - 1 - #ids - skip, "")
    end
  end
  redis.call("LREM", state, -count, "")
end

local ids
if isList then
  ids = redis.call("LRANGE", state, -skip - most, -skip - 1)
else
  ids = redis.call("ZRANGE", state, skip, skip + most - 1)
end
local removed, isRemoved = 0, {}
redis.call("DEL", window)
for _, id in ipairs(ids) do
  if not isNextOfScheduler(id) then
    removed, isRemoved[id] = removed + 1, true
    redis.call("RPUSH", window, id)
  end
end
if removed > 0 then
  shipped({window, nothing, nothing, nothing, nothing}, {base, "0"})
  redis.call("DEL", window)
  if isList then -- LREM takes 0 for all
    takeOutOfList(ids, isRemoved, removed)
  else
    for id in pairs(isRemoved) do
      redis.call("ZREM", state, id)
    end
  end
end
return {#ids, removed}
