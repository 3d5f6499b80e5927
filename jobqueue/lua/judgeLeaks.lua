--[[
  Which keys and entries of a queue have lost their owner? And where that is asked, mend it in the same step, so that
  nothing which has found an owner meanwhile is touched.
  KEYS[1] any key of the queue, by which the node of a cluster is found
  ARGV[1] key base of the queue
  ARGV[2] "glance" (reads only; the lists of waiting jobs are not looked through), "judge" (reads only) or "mend"
  ARGV[3] msgpack, a list of: rule, type (of the key, "" for any), name (the key without the base), id, keep (ms)
  Returns: for each "owned"; "leaked"; "endless" (it is owned, but has lost its time limit); "unattended" (a gate with
    parked jobs that is not in the index of those); "unlisted" (at a glance: leaked, unless the job waits); "strange" (a
    key of another type). What is said to be one of the first three of these when "mend" is asked has been mended.
]]
-- include _gates
-- include _saidOf
local base, mode, asked = ARGV[1], ARGV[2], cmsgpack.unpack(ARGV[3])
local MOST = 1000 -- members that are looked at, and so mended, in one call
local SORTED = {"completed", "failed", "delayed", "prioritized", "waiting-children"}
local PARTS = {":logs", ":dependencies", ":processed", ":failed", ":unsuccessful"}
-- What BullMQ writes of a job after it was added, and so perhaps after it was removed; the first ones are nobody else's.
local SURE, LATE = {}, {}
for word in string.gmatch("stc ats atm defa processedOn finishedOn stacktrace", "%S+") do
  SURE[word], LATE[word] = true, true
end
for word in string.gmatch("pb progress returnvalue failedReason delay", "%S+") do
  LATE[word] = true
end

local function exists(key)
  return redis.call("EXISTS", key) == 1
end

local function isActive(id)
  return redis.call("LPOS", base .. "active", id)
end

-- Under a longer prefix there may be a queue of another application: `bull:jobs` and its queue `mail` beside `bull` and
-- its queue `jobs`. What begins as its keys do is none of ours.
local known = {}
local function isOfAnotherQueue(name)
  local word = string.match(name, "^([^:]*):")
  if word and known[word] == nil then
    known[word] = redis.call("EXISTS", base .. word .. ":meta", base .. word .. ":id") > 0
  end
  return word and known[word]
end

local function unfinishedAmong(ids)
  for _, id in ipairs(ids) do
    if isUnfinished(base, id) then
      return true
    end
  end
  return false
end

local rules = {}

rules.time = {
  isOwned = function() return true end,
}

rules.mark = {
  isOwned = function(one) return isUnfinished(base, one.id) end,
}

rules.said = {
  isOwned = function(one) return isUnfinished(base, one.id) and saidOf(base .. one.id, one.key) end,
}

rules.holder = {
  isOwned = function(one) return holderOf(base, one.key) end,
}

rules.members = {
  isOwned = function(one)
    one.found = redis.call("SRANDMEMBER", one.key, MOST)
    return unfinishedAmong(one.found)
  end,
  mend = function(one) redis.call("SREM", one.key, unpack(one.found)) end,
}

rules.line = {
  isOwned = function(one)
    one.found = redis.call("ZRANGE", one.key, 0, MOST - 1)
    return unfinishedAmong(one.found)
  end,
  mend = function(one) redis.call("ZREM", one.key, unpack(one.found)) end,
}

rules.gate = {isOwned = rules.line.isOwned, mend = rules.line.mend, hasNoLimit = true}

rules.index = {
  isOwned = function(one)
    one.found = redis.call("ZRANGE", one.key, 0, MOST - 1)
    return redis.call("EXISTS", unpack(one.found)) > 0
  end,
  mend = rules.line.mend,
  hasNoLimit = true,
}

rules.schedulers = {
  isOwned = function(one)
    for _, id in ipairs(redis.call("HKEYS", one.key)) do
      if redis.call("ZSCORE", base .. "repeat", id) then
        return true
      end
    end
    return false
  end,
  hasNoLimit = true,
}

-- BullMQ's

local function isJob(key)
  local job = redis.call("HMGET", key, "timestamp", "data", "opts")
  if job[1] and job[2] and job[3] then
    return true
  elseif redis.call("HLEN", key) > 10 then
    return false
  end
  local isSure = false
  for _, name in ipairs(redis.call("HKEYS", key)) do
    if not LATE[name] then
      return false
    end
    isSure = isSure or SURE[name]
  end
  return isSure
end

local function isWaitedFor(key)
  local parent = redis.call("HGET", key, "parentKey")
  local found = parent and redis.pcall("SISMEMBER", parent .. ":dependencies", key) -- it may be of another node
  return found and found ~= 0
end

rules.job = {
  isOwned = function(one)
    if not isJob(one.key) or isWaitedFor(one.key) or exists(one.key .. ":lock") or exists(one.key .. ":dependencies") then
      return true
    end
    for _, state in ipairs(SORTED) do
      if redis.call("ZSCORE", base .. state, one.id) then
        return true
      end
    end
    if isActive(one.id) then
      return true
    elseif mode == "glance" then
      one.verdict = "unlisted"
      return false
    end
    return redis.call("LPOS", base .. "wait", one.id) or redis.call("LPOS", base .. "paused", one.id)
  end,
  mend = function(one)
    redis.call("UNLINK", one.key)
    for _, part in ipairs(PARTS) do
      redis.call("UNLINK", one.key .. part)
    end
  end,
  hasNoLimit = true,
}

rules.part = {
  isOwned = function(one) return exists(base .. one.id) end,
  hasNoLimit = true,
}

rules.lock = {
  isOwned = function(one) return isActive(one.id) end,
  hasNoLimit = true,
}

rules.scheduler = {
  isOwned = function(one)
    return redis.call("ZSCORE", base .. "repeat", one.id) or redis.call("HEXISTS", one.key, "timestamp") == 1
  end,
  hasNoLimit = true,
}

rules.dedup = { -- one with a time limit may outlive its job
  isOwned = function(one)
    return redis.call("PTTL", one.key) ~= -1 or exists(base .. redis.call("GET", one.key))
  end,
  hasNoLimit = true,
}

rules.listed = {
  isOwned = function(one)
    if exists(base .. one.id) or exists(base .. one.id .. ":lock") then
      return true
    elseif one.type == "list" then
      return not redis.call("LPOS", one.key, one.id)
    end
    return not redis.call("ZSCORE", one.key, one.id)
  end,
  mend = function(one)
    redis.call(one.type == "list" and "LREM" or "ZREM", one.key, unpack(one.type == "list" and {0, one.id} or {one.id}))
  end,
  hasNoLimit = true,
}

rules.stalled = {
  isOwned = function(one) return redis.call("SISMEMBER", one.key, one.id) == 0 or isActive(one.id) end,
  mend = function(one) redis.call("SREM", one.key, one.id) end,
  hasNoLimit = true,
}

rules.marker = { -- while a job is active its end may be what the marker is for
  isOwned = function(one)
    local waiting = redis.call("LLEN", base .. "wait") + redis.call("LLEN", base .. "paused")
      + redis.call("LLEN", base .. "active") + redis.call("ZCARD", base .. "prioritized")
      + redis.call("ZCARD", base .. "delayed")
    return waiting > 0
  end,
  hasNoLimit = true,
}

local function verdictOn(one, rule)
  local type = redis.call("TYPE", one.key).ok
  if type == "none" or isOfAnotherQueue(one.name) then
    return "owned"
  elseif one.type ~= "" and type ~= one.type then
    return "strange"
  elseif not rule.isOwned(one) then
    return one.verdict or "leaked"
  end
  local isEndless = redis.call("PTTL", one.key) == -1
  if one.rule == "gate" then
    return isEndless and not redis.call("ZSCORE", base .. "job:gates:parked", one.key) and "unattended" or "owned"
  end
  return isEndless and not rule.hasNoLimit and "endless" or "owned"
end

local function mend(one, rule, verdict)
  if verdict == "endless" then
    redis.call("PEXPIRE", one.key, exact(one.keep))
  elseif verdict == "unattended" then
    redis.call("ZADD", base .. "job:gates:parked", "NX", 0, one.key)
  elseif verdict == "leaked" then
    if rule.mend then
      rule.mend(one)
    else
      redis.call("UNLINK", one.key)
    end
  end
end

local verdicts = {}
for place, one in ipairs(asked) do
  one.key = base .. one.name
  verdicts[place] = verdictOn(one, rules[one.rule])
  if mode == "mend" then
    mend(one, rules[one.rule], verdicts[place])
  end
end
return verdicts
