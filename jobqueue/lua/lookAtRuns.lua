--[[
  What jobs of cron jobs tell by themselves, for where the events that told it may have been lost.
  KEYS[1] completed  KEYS[2] failed  KEYS[3] schedulers of ours (hash: scheduler id -> row id)
  ARGV[1] key base
  ARGV[2…] ids of the jobs
  Returns: for each {completed, failed, skipped, superseded, removed or unfinished; id of the row, or "" where nothing
    tells it; ms of the job's last claim, or ""; ms of its end, or ""; where it was skipped the job of its row that runs,
    or ""}.
]]
-- include _cronRuns
local base = ARGV[1]

local function stateOf(id)
  if redis.call("EXISTS", base .. id) == 0 then
    return "removed"
  end
  if redis.call("ZSCORE", KEYS[1], id) then
    return "completed"
  end
  return redis.call("ZSCORE", KEYS[2], id) and "failed" or "unfinished"
end

local reply = {}
for at = 2, #ARGV do
  local id = ARGV[at]
  local state, row, running = stateOf(id), rowOf(base, KEYS[3], id) or "", ""
  if state == "completed" then
    local returned = returnedBy(base, id)
    state = endOf(returned)
    running = state == "skipped" and runningBeside(base, KEYS[3], row, returned) or ""
  end
  local times = redis.call("HMGET", base .. id, "processedOn", "finishedOn")
  reply[#reply + 1] = {state, row, times[1] or "", times[2] or "", running}
end
return reply
