-- Included after _gates. The unfinished holder of a lane whose claim is newer than `rank` (epoch ms), if that is so.
local function newerHolder(base, lane, rank)
  local holder = holderOf(base, lane)
  if holder and tonumber(redis.call("HGET", lane, "rank") or 0) > rank then
    return holder
  end
end

-- Make `id` the holder of the lane and mark the previous holder, if that has not finished. The
-- mark outlives the start of the job that it marks; the lane outlives its holder's. Returns the id of the superseded
-- job, or "". `rank` is the time of the claim (epoch ms), `keep` the ms that lane and mark outlive the start.
local function claimLane(base, lane, id, rank, now, keep)
  local holder = holderOf(base, lane)
  local superseded = ""
  if holder and holder ~= id then
    redis.call("SET", base .. "job:superseded:" .. holder, id, "PX", exact(msUntilStart(base, holder, now) + keep))
    redis.call("PUBLISH", base .. "job:signals", "superseded\n" .. holder .. "\n" .. id)
    superseded = holder
  end
  hold(base, lane, id)
  redis.call("HSET", lane, "rank", exact(rank))
  redis.call("PEXPIRE", lane, exact(msUntilStart(base, id, now) + keep))
  return superseded
end
