--[[
  Add the jobs of a flow in one step, parents before their children: all of them, or none.
  Before this text stand the add scripts as functions of their KEYS and ARGV, `scripts[1]`, `scripts[2]`, …
  KEYS: the hash of each job, and then the keys of each add script's call
  ARGV[1] msgpack:
    parent   key of the job that the first one is a child of, or ""
    token    of the run that adds the child to its own job, or ""
    uniques  {place of a job, its key base, the key that its unfinished duplicate holds} of those that refuse one
    calls    {number of the script, number of keys, number of arguments} of each job
  ARGV[2..] the arguments of each add script's call
  Returns: {"added", answer of each call}; {"there"} where the first job exists as a child of the same parent; and where
    nothing was added because of another job {"exists", its place} or {"duplicate", its place, id of the unfinished
    job}; {"orphan", "gone", "finished" or "lost"} where the parent is that, or not the run's.
]]
local function isUnfinished(base, id)
  local job = redis.call("HMGET", base .. id, "name", "finishedOn")
  return job[1] and not job[2]
end

local asked = cmsgpack.unpack(ARGV[1])
local size = #asked.calls

if redis.call("EXISTS", KEYS[1]) == 1 then
  local isOurs = asked.parent == "" or redis.call("HGET", KEYS[1], "parentKey") == asked.parent
  return isOurs and {"there"} or {"exists", 1}
end
for place = 2, size do
  if redis.call("EXISTS", KEYS[place]) == 1 then
    return {"exists", place}
  end
end
if asked.parent ~= "" then
  local parent = redis.call("HMGET", asked.parent, "name", "finishedOn")
  if not parent[1] or parent[2] then
    return {"orphan", parent[1] and "finished" or "gone"}
  end
  if asked.token ~= "" and redis.call("GET", asked.parent .. ":lock") ~= asked.token then
    return {"orphan", "lost"}
  end
end
for _, unique in ipairs(asked.uniques) do
  local place, base, key = unpack(unique)
  local holder = redis.call("HGET", key, "holder")
  if holder and isUnfinished(base, holder) then
    return {"duplicate", place, holder}
  end
end

local answers = {}
local lastKey, lastArgument = size, 1
for place, call in ipairs(asked.calls) do
  local script, numberOfKeys, numberOfArguments = unpack(call)
  local keys, arguments = {}, {}
  for number = 1, numberOfKeys do
    keys[number] = KEYS[lastKey + number]
  end
  for number = 1, numberOfArguments do
    arguments[number] = ARGV[lastArgument + number]
  end
  lastKey, lastArgument = lastKey + numberOfKeys, lastArgument + numberOfArguments
  answers[place] = scripts[script](keys, arguments)
end
return {"added", answers}
