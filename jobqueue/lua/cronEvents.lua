--[[
  What became of cron jobs: the next stretch of a queue's events, of which those are returned that tell of one. One
  caller at a time reads, and it reads a stretch again until it has said that what was in it is written.
  KEYS[1] events (stream)
  KEYS[2] history (hash: leader, until (ms), cursor, and the ids of triggers)
  KEYS[3] schedulers of ours (hash: scheduler id -> row id)
  ARGV[1] key base
  ARGV[2] who asks
  ARGV[3] ms that the lease lives
  ARGV[4] the event up to which the caller has written everything, or ""
  ARGV[5] most events to look at
  ARGV[6] ms that the history outlives the last scheduler
  Returns: {"idle"} where there are no cron jobs; {"held", ms that another one's lease lives}; or {"read", position
    after the stretch, what comes before it, what follows it, …}. Before it are events that are "known", some that may
    have been "lost", or those that "another" caller has read; "more" events follow it, or "none". Each further element
    is an event: {active, completed, failed, skipped or superseded; id of the job; id of
    the row; id of the event; ms of the job's last claim, or ""; where it was skipped the job of its row that runs, or
    ""}.
]]
-- include _cronRuns
local base, me, lease = ARGV[1], ARGV[2], tonumber(ARGV[3])
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

local function told(kind, id, row, entry)
  local job = redis.call("HMGET", base .. id, "processedOn", "finishedOn")
  local at, claimed = entry[1], job[1] or ""
  if kind == "active" then -- a job that was claimed only to be skipped has not run
    local isSkipped = job[2] and endOf(returnedBy(base, id)) == "skipped"
    return not isSkipped and {kind, id, row, at, claimed, ""}
  end
  local returned = entry[2][5] == "returnvalue" and entry[2][6]
  local ending = kind == "completed" and endOf(returned) or kind
  local running = ending == "skipped" and runningBeside(base, KEYS[3], row, returned) or ""
  return {ending, id, row, at, claimed, running}
end

local most = tonumber(ARGV[5])
local entries = redis.call("XRANGE", KEYS[1], cursor, "+", "COUNT", most + 1)
local first, before = 1, isNew and "another" or "known"
if cursor ~= "0-0" then
  if entries[1] and entries[1][1] == cursor then
    first = 2
  else
    before = "lost" -- the event at the cursor was trimmed, and others may have been with it
  end
end
local last = entries[#entries] and entries[#entries][1] or "0-0" -- of a new stream, which may count lower than the old
local reply = {"read", last, before, #entries > most and "more" or "none"}
for at = first, #entries do
  local fields = entries[at][2]
  if KINDS[fields[2]] and fields[3] == "jobId" then
    local id = fields[4]
    local head = string.sub(id, 1, 5)
    local row = (head == "repea" or head == "cron.") and rowOf(base, KEYS[3], id)
    local event = row and told(fields[2], id, row, entries[at])
    if event then
      reply[#reply + 1] = event
    end
  end
end
return reply
