--[[
  Decide, when a job with ties is picked up, whether it may run now, and take what it must hold. What it did not claim
  when it was enqueued (made by a scheduler or a foreign tool, retried by hand) it claims now. A job whose order key or
  limit is taken is parked, and the next job is claimed in its place.
  Around: moveToActive
  KEYS, ARGV: those of moveToActive, and then
    ARGV[#ARGV] msgpack: base, jobId, token, now, priority, timestamp, ranBefore, keep (ms), fetch, ties
  Returns: {"run", fence or 0}, {"superseded", id of the newer job}, {"cancelled", reason}, {"acknowledged", how},
    {"duplicate", id of the unfinished job}, {"busy", id of the lock's holder}, {"booked", ms until its turn under the
    rate limit}, {"parked", the answer of moveToActive} or {"lost", ""} where the job is not this token's.
]]
-- include _ties
-- include _claimLane
-- include _saidOf
local asked = cmsgpack.unpack(ARGV[#ARGV])
local base, id, now, keep = asked.base, asked.jobId, asked.now, asked.keep
local job = {id = id, priority = asked.priority, timestamp = asked.timestamp, startsIn = 0, ranBefore = asked.ranBefore}

local function enterLane(tie)
  if holderOf(base, tie.key) == id then
    return nil
  end
  local newer = newerHolder(base, tie.key, tie.rank)
  if newer then
    return newer
  end
  claimLane(base, tie.key, id, tie.rank, now, keep)
end

local function claimUnique(tie)
  local holder = holderOf(base, tie.key)
  if holder and holder ~= id then
    return holder
  end
  hold(base, tie.key, id)
  redis.call("PEXPIRE", tie.key, keep)
end

-- The job's own lock, left by a worker that died, is taken over. The clock is the fence's floor, so that the fence's
-- key may expire: by then the clock has passed any number given out.
local function acquire(tie)
  local holder = redis.call("HGET", tie.key, "job")
  if holder and holder ~= id then
    return nil, holder
  end
  local time = redis.call("TIME")
  local fence = math.max(time[1] * 1000000 + time[2], tonumber(redis.call("GET", tie.fence) or 0) + 1)
  redis.call("SET", tie.fence, exact(fence), "PX", tie.fence_keep)
  redis.call("HSET", tie.key, "job", id, "token", tie.token, "fence", exact(fence))
  redis.call("PEXPIRE", tie.key, tie.ttl)
  return fence
end

-- Start now, or stand in the line of those that wait for a turn. Returns ms until its turn, 0 where it starts.
local function start(tie)
  if not redis.call("ZSCORE", tie.booked, id) then
    redis.call("ZADD", tie.booked, exact(rankOf({kind = "limit", key = tie.booked}, job)), id)
  end
  passOver(base, tie.booked, id)
  local turn = turnOf(tie, redis.call("ZRANK", tie.booked, id), now)
  if turn > now then
    redis.call("PEXPIRE", tie.booked, exact(turn - now + keep))
    return turn - now
  end
  redis.call("ZREM", tie.booked, id)
  redis.call("LPUSH", tie.key, exact(now))
  redis.call("LTRIM", tie.key, 0, tie.max - 1)
  redis.call("PEXPIRE", tie.key, exact(tie.per))
  moveUp(base, tie, now)
  return 0
end

-- As the shipped moveToWaitingChildren does. Who is parked holds no limit: those who do might wait for him in turn.
local function park()
  for _, tie in ipairs(asked.ties) do
    if tie.kind == "limit" and tonumber(redis.call("ZSCORE", tie.key, id) or nil) == 0 then
      if leaveGate(base, id, tie, now, keep) > 0 then
        markReady(base)
      end
    end
  end
  redis.call("DEL", base .. id .. ":lock")
  redis.call("SREM", base .. "stalled", id)
  redis.call("LREM", base .. "active", -1, id)
  redis.call("ZADD", base .. "waiting-children", now, id)
  redis.call("HSET", base .. id, "delay", 0) -- it was due, whatever its hash still says
  redis.call("XADD", base .. "events", "*", "event", "waiting-children", "jobId", id, "prev", "active")
  if not asked.fetch then
    markReady(base)
    return {}
  end
  return shipped(KEYS, ARGV)
end

if redis.call("GET", base .. id .. ":lock") ~= asked.token then
  return {"lost", ""}
end
local reason = saidOf(base .. id, base .. "job:cancel:" .. id)
if reason then
  return {"cancelled", reason}
end
local superseded = redis.call("GET", base .. "job:superseded:" .. id)
local fence = 0
for _, tie in ipairs(asked.ties) do
  if tie.kind == "lane" then
    local by = superseded or enterLane(tie)
    if by then
      return {"superseded", by}
    end
  elseif tie.kind == "unique" then
    local other = claimUnique(tie)
    if other then
      return {"duplicate", other}
    end
  elseif tie.kind == "related" then
    redis.call("SADD", tie.key, id)
    redis.call("PEXPIRE", tie.key, exact(math.max(redis.call("PTTL", tie.key), keep)))
  elseif tie.kind == "order" or tie.kind == "limit" then
    if not pass(base, tie, job, now, keep) then
      return {"parked", park()}
    end
  elseif tie.kind == "lock" then
    local holder
    fence, holder = acquire(tie)
    if holder then
      return {"busy", holder}
    end
  elseif tie.kind == "ack" then
    local how = saidOf(base .. id, tie.key)
    if how and how ~= "requeue" then
      return {"acknowledged", how}
    end
    redis.call("DEL", tie.key) -- meant for a run that is gone, or a former job of this id
  elseif tie.kind == "rate" then
    local wait = start(tie)
    if wait > 0 then
      return {"booked", wait}
    end
  end
end
return {"run", fence}
