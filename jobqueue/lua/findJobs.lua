--[[
  Looks at jobs, newest first, for those that may be wanted: rank by rank, in each of the given states, until so many
  were looked at or so many bytes of them were read. Reads only.

  A finished state is ordered by finish time, and only its ranks within the time range count; of the others a job's own
  time is that of its enqueueing. A job whose hash is none has neither name nor data.
  KEYS the states, a list or zset each
  ARGV[1] key base of the queue
  ARGV[2] msgpack map: lists, finished (for each state, in order, whether it is one), first (rank, 0 is the newest), most
          (jobs), bytes; and what is wanted, each only where it matters: name, cancelled (true or false), beginning (of the
          reason of a cancelled job), from, to (epoch ms); and always: runs (lower-case texts that must all occur in id,
          name, data or reason), ways (of each one list of texts must occur in the data), fields (true where the fields
          are to be returned); secretive (names of handlers with secrets), secrets (letters; data that has them in a row,
          whatever stands between them, may hide something): of these jobs the runs are not asked
  Returns: {rank to go on from, jobs looked at, bytes read, 1 where nothing is behind them, and one after the other for
  each job that may be wanted: place of its state, id, own time (epoch ms), and with `fields` name, data, failedReason}
]]
local base, ask = ARGV[1], cmsgpack.unpack(ARGV[2])
local low, high = ask.from or "-inf", ask.to or "+inf"

local states, longest = {}, 0
for place, key in ipairs(KEYS) do
  local state = {place = place, key = key, isList = ask.lists[place], isFinished = ask.finished[place], skip = 0}
  if state.isList then
    state.count = redis.call("LLEN", key)
  elseif state.isFinished and (ask.from or ask.to) then
    state.skip = ask.to and redis.call("ZCOUNT", key, "(" .. high, "+inf") or 0
    state.count = redis.call("ZCOUNT", key, low, high)
  else
    state.count = redis.call("ZCARD", key)
  end
  longest = math.max(longest, state.count)
  if state.count > ask.first then
    states[#states + 1] = state
  end
end

local stretch = #states > 0 and math.max(math.floor(ask.most / #states), 1) or 0
local last = math.min(ask.first + stretch, longest) - 1
for _, state in ipairs(states) do
  local from, to = state.skip + ask.first, state.skip + math.min(last, state.count - 1)
  if state.isList then
    state.ids = redis.call("LRANGE", state.key, from, to)
  elseif state.isFinished then
    state.ids = redis.call("ZREVRANGE", state.key, from, to, "WITHSCORES")
  else
    state.ids = redis.call("ZREVRANGE", state.key, from, to)
  end
end

local names = {"timestamp"}
if ask.name or ask.fields then
  names = {"timestamp", "name"}
end
if ask.cancelled ~= nil or ask.fields then
  names = {"timestamp", "name", "failedReason"}
end
if ask.fields then
  names = {"timestamp", "name", "failedReason", "data"}
end
local readsNothing = #names == 1 -- of a finished job, whose time is its score

local looked, bytes, found = 0, 0, {}
local find, lower, gsub, runs, ways, secretive = string.find, string.lower, string.gsub, ask.runs, ask.ways, {}
for _, name in ipairs(ask.secretive) do
  secretive[name] = true
end

local function hasAll(text, needles)
  for nth = 1, #needles do
    if not find(text, needles[nth], 1, true) then
      return false
    end
  end
  return true
end

local function hasOne(text, alternatives)
  for nth = 1, #alternatives do
    if hasAll(text, alternatives[nth]) then
      return true
    end
  end
  return false
end

local function hasWays(data)
  for _, alternatives in ipairs(ways) do
    if not hasOne(data, alternatives) then
      return false
    end
  end
  return true
end

-- A backslash may be before the code of a letter, and what is no ASCII may stand for a letter of it.
local function mayHide(data)
  if find(data, "\\", 1, true) then
    return true
  end
  local letters = gsub(data, "[^a-z\128-\255]+", "")
  if find(letters, "[\128-\255]") then
    return true
  end
  for nth = 1, #ask.secrets do
    if find(letters, ask.secrets[nth], 1, true) then
      return true
    end
  end
  return false
end

-- Not what is in it, where some of it is hidden: then it is looked at as it is shown, whatever the text is.
local function mayShow(id, job)
  local data, name = lower(job[4] or ""), job[2] or ""
  return secretive[name] or mayHide(data)
    or hasAll(data .. "\n" .. lower((job[3] or "") .. "\n" .. name .. "\n" .. id), runs)
end

local function isWanted(state, id, job, at)
  if ask.name and job[2] ~= ask.name then
    return false
  end
  if ask.cancelled ~= nil and (string.sub(job[3] or "", 1, #ask.beginning) == ask.beginning) ~= ask.cancelled then
    return false
  end
  if not state.isFinished and ((ask.from and at < ask.from) or (ask.to and at > ask.to)) then
    return false
  end
  return #runs == 0 or mayShow(id, job)
end

local function look(state, id, score)
  local job = {}
  if not (readsNothing and state.isFinished) then
    job = redis.pcall("HMGET", base .. id, unpack(names)) -- an error where that key is no hash, so no job
    if job.err then
      job = {}
    end
  end
  looked = looked + 1
  bytes = bytes + #(job[4] or "") + #(job[3] or "") + 100
  local at = tonumber(score or job[1] or 0) or 0
  at = math.abs(at) < 2 ^ 53 and at or 0 -- also where it is no number at all
  if isWanted(state, id, job, at) and (#ways == 0 or hasWays(job[4] or "")) then
    local last = #found
    found[last + 1], found[last + 2], found[last + 3] = state.place, id, at
    if ask.fields then
      found[last + 4], found[last + 5], found[last + 6] = job[2] or false, job[4] or false, job[3] or false
    end
  end
end

local rank = ask.first
while rank <= last and bytes < ask.bytes do
  local nth = rank - ask.first + 1
  for _, state in ipairs(states) do
    if state.isFinished and state.ids[2 * nth] then
      look(state, state.ids[2 * nth - 1], state.ids[2 * nth])
    elseif not state.isFinished and state.ids[nth] then
      look(state, state.ids[nth])
    end
  end
  rank = rank + 1
end
return {rank, looked, bytes, rank >= longest and 1 or 0, found}
