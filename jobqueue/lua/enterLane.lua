--[[
  Decide, when a superseding job is picked up, whether it still counts. A job that did not claim its lane when it was
  enqueued (made by a scheduler or a foreign tool, retried by hand) claims it now, ranked against the holder.
  KEYS[1] lane (hash: holder, rank)
  KEYS[2] mark of this job
  KEYS[3] channel of signals
  ARGV[1] key base of the queue
  ARGV[2] job id
  ARGV[3] rank of this job: epoch ms of its slot, or of its enqueueing
  ARGV[4] now, epoch ms
  ARGV[5] ms that lane and mark outlive the start of their jobs
  Returns: "" where the job may run, else the id of the job that superseded it.
]]
-- include _claimLane
local mark = redis.call("GET", KEYS[2])
if mark then
  return mark
end
local lane = redis.call("HMGET", KEYS[1], "holder", "rank")
local holder = lane[1]
if holder == ARGV[2] then
  return ""
end
if holder and tonumber(lane[2]) > tonumber(ARGV[3]) then
  local job = redis.call("HMGET", ARGV[1] .. holder, "name", "finishedOn")
  if job[1] and not job[2] then
    return holder
  end
end
claimLane(ARGV[1], KEYS[1], KEYS[3], ARGV[2], ARGV[3], ARGV[4], ARGV[5])
return ""
