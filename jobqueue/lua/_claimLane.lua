-- Included by addSuperseding and enterLane. Parameters: key base; lane; channel; job id; rank (epoch ms of the claim);
-- now (epoch ms); ms that lane and mark outlive the start of their jobs.
-- Make `id` the holder of the lane and mark the previous holder, if that has not finished. The mark outlives the
-- start of the job that it marks; the lane outlives its holder's. Returns the id of the superseded job, or "".
local function claimLane(base, lane, channel, id, rank, now, keep)
  local function msUntilStart(jobId)
    local score = redis.call("ZSCORE", base .. "delayed", jobId)
    return score and math.max(math.floor(tonumber(score) / 0x1000) - tonumber(now), 0) or 0
  end
  local holder = redis.call("HGET", lane, "holder")
  local superseded = ""
  if holder and holder ~= id then
    local job = redis.call("HMGET", base .. holder, "name", "finishedOn")
    if job[1] and not job[2] then
      local ttl = string.format("%.0f", msUntilStart(holder) + tonumber(keep))
      redis.call("SET", base .. "job:superseded:" .. holder, id, "PX", ttl)
      redis.call("PUBLISH", channel, "superseded\n" .. holder .. "\n" .. id)
      superseded = holder
    end
  end
  redis.call("HSET", lane, "holder", id, "rank", rank)
  redis.call("PEXPIRE", lane, string.format("%.0f", msUntilStart(id) + tonumber(keep)))
  return superseded
end
