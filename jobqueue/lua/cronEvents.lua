--[[
  What became of cron jobs: the next stretch of a queue's events, of which those are returned that tell of one. One
  caller at a time reads, and it reads a stretch again until it has said that what was in it is written.
  KEYS[1] events (stream)
  KEYS[2] history (hash: leader, until (ms), cursor)
  KEYS[3] schedulers of ours (hash: scheduler id -> row id)
  ARGV[1] key base
  ARGV[2] who asks
  ARGV[3] ms that the lease lives
  ARGV[4] the event up to which the caller has written everything, or ""
  ARGV[5] most events to look at
  ARGV[6] ms that the history outlives the last scheduler
  Returns: {"idle"} where there are no cron jobs; {"held", ms that another one's lease lives}; or {"read", position
    after the stretch, 1 where more events follow, 1 where events before it may have been lost, 1 where the lease is
    new, …}. Each further element is an event: {active, completed, failed, skipped or superseded; id of the job; id of
    the row; id of the event; ms of the job's last claim, or ""; where it was skipped the job of its row that runs, or
    ""}.
]]
local base, me, lease = ARGV[1], ARGV[2], tonumber(ARGV[3])
local SHORT = 500
local KINDS = {active = true, completed = true, failed = true}

local hasSchedulers = redis.call("EXISTS", KEYS[3]) == 1
local history = redis.call("HMGET", KEYS[2], "leader", "until", "cursor")
if not hasSchedulers and not history[3] then
  return {"idle"}
end
local time = redis.call("TIME")
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local left = tonumber(history[2] or 0) - now
local isNew = history[1] ~= me
if isNew and left > 0 and left <= lease then -- a clock that was set back gives nobody more than a lease
  return {"held", left}
end
local cursor = history[3] or "0-0"
if not isNew and ARGV[4] ~= "" then
  cursor = ARGV[4]
end
redis.call("HSET", KEYS[2], "leader", me, "until", string.format("%.0f", now + lease), "cursor", cursor)
if hasSchedulers or redis.call("PTTL", KEYS[2]) < 0 then
  redis.call("PEXPIRE", KEYS[2], ARGV[6])
end

local function decoded(text)
  local isRead, read = pcall(cjson.decode, text or "")
  return isRead and type(read) == "table" and read or {}
end

-- The row that a job belongs to. A scheduler that was removed or renamed meanwhile is not in the hash any more; what
-- its jobs carry tells it.
local function rowOf(id)
  local row = string.match(id, "^cron%.([^.]+)%..")
  if row then
    return row
  end
  local scheduler = string.match(id, "^repeat:(.*):%d+$")
  row = scheduler and redis.call("HGET", KEYS[3], scheduler)
  if row or not scheduler then
    return row
  end
  local data = decoded(redis.call("HGET", base .. id, "data"))
  return data.type == "cron" and type(data.id) == "string" and data.id
end

-- What our workers write for a job that did not run (see outcomes.py).
local function isNote(returned, beginning)
  return returned and #returned <= SHORT and string.sub(returned, 1, #beginning) == beginning
end

local function isSkipped(returned)
  return isNote(returned, '{"skipped":true,"holder":') or isNote(returned, '{"skipped":true,"reason":"missed",')
end

local function isUnfinished(id)
  local job = redis.call("HMGET", base .. id, "name", "finishedOn")
  return job[1] and not job[2]
end

local function runningOf(row, returned)
  local holder = decoded(returned).holder or redis.call("HGET", base .. "job:overlap:" .. row, "holder")
  return type(holder) == "string" and rowOf(holder) == row and isUnfinished(holder) and holder or ""
end

local function told(kind, id, row, entry)
  local job = redis.call("HMGET", base .. id, "processedOn", "finishedOn", "returnvalue")
  local at, claimed = entry[1], job[1] or ""
  if kind == "active" then -- a job that was claimed only to be skipped has not run
    return not (job[2] and isSkipped(job[3])) and {kind, id, row, at, claimed, ""}
  end
  local returned = kind == "completed" and entry[2][5] == "returnvalue" and entry[2][6]
  if isSkipped(returned) then
    return {"skipped", id, row, at, claimed, runningOf(row, returned)}
  end
  return {isNote(returned, '{"superseded":true,"by":') and "superseded" or kind, id, row, at, claimed, ""}
end

local most = tonumber(ARGV[5])
local entries = redis.call("XRANGE", KEYS[1], cursor, "+", "COUNT", most + 1)
local first, isCut = 1, 0
if cursor ~= "0-0" then
  if entries[1] and entries[1][1] == cursor then
    first = 2
  else
    isCut = 1 -- the event at the cursor was trimmed, and others may have been with it
  end
end
local last = entries[#entries] and entries[#entries][1] or "0-0" -- of a new stream, which may count lower than the old
local reply = {"read", last, #entries > most and 1 or 0, isCut, isNew and 1 or 0}
for at = first, #entries do
  local fields = entries[at][2]
  if KINDS[fields[2]] and fields[3] == "jobId" then
    local id = fields[4]
    local head = string.sub(id, 1, 5)
    local row = (head == "repea" or head == "cron.") and rowOf(id)
    local event = row and told(fields[2], id, row, entries[at])
    if event then
      reply[#reply + 1] = event
    end
  end
end
return reply
