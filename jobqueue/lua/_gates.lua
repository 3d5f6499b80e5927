-- A gate lets some jobs through at a time: an order key one, a limit its number. It is a zset: a holder has score 0, a
-- parked job its rank. A parked job is in waiting-children, without dependencies, so that every BullMQ tool shows it
-- and none starts it. Gates with parked jobs are in an index, scored by their last repair, and have no time limit; the
-- others end by theirs.
local NEVER_RAN = 2 ^ 42 -- ranks below it are the time (epoch ms) of jobs that held their gate before

local function exact(number)
  return string.format("%.0f", number)
end

local function isUnfinished(base, id)
  local job = redis.call("HMGET", base .. id, "name", "finishedOn")
  return job[1] and not job[2]
end

-- How long a delayed job waits, also one that is parked before it may even be delayed.
local function msUntilStart(base, id, now)
  local score = redis.call("ZSCORE", base .. "delayed", id)
  if score then
    return math.max(math.floor(tonumber(score) / 0x1000) - now, 0)
  end
  local job = redis.call("HMGET", base .. id, "timestamp", "delay")
  return math.max((tonumber(job[1]) or 0) + (tonumber(job[2]) or 0) - now, 0)
end

-- The unfinished job that holds a lane, or that others would duplicate; a later job of its id is not taken for it.
local function holderOf(base, key)
  local held = redis.call("HMGET", key, "holder", "at")
  local id, at = held[1], held[2]
  if id and isUnfinished(base, id) and (not at or at == redis.call("HGET", base .. id, "timestamp")) then
    return id
  end
end

local function hold(base, key, id)
  redis.call("HSET", key, "holder", id, "at", redis.call("HGET", base .. id, "timestamp") or "")
end

local function extend(key, ms)
  local left = redis.call("PTTL", key)
  if left >= 0 and left < ms then
    redis.call("PEXPIRE", key, exact(ms))
  end
end

-- As the shipped scripts do after each add.
local function markReady(base)
  local meta = redis.call("HMGET", base .. "meta", "paused", "concurrency")
  if not meta[1] and not (meta[2] and redis.call("LLEN", base .. "active") >= tonumber(meta[2])) then
    redis.call("ZADD", base .. "marker", 0, "0")
  end
end

-- As the shipped scripts delay a job: those of one millisecond keep their order, and the marker tells of the first.
local function delayUntil(base, id, due)
  local delayed, low, high = base .. "delayed", due * 0x1000, (due + 1) * 0x1000 - 1
  redis.call("ZREM", delayed, id)
  local last = redis.call("ZREVRANGEBYSCORE", delayed, exact(high), exact(low), "WITHSCORES", "LIMIT", 0, 1)[2]
  redis.call("ZADD", delayed, exact(last and math.min(tonumber(last) + 1, high) or low), id)
  local first = redis.call("ZRANGE", delayed, 0, 0, "WITHSCORES")
  redis.call("ZADD", base .. "marker", exact(tonumber(first[2]) / 0x1000), "1")
end

-- As the shipped moveParentToWait does, but to the end of the queue, so that one key's jobs do not overtake the others',
-- and without the marker: the same step may fetch the job.
-- Returns the ms until the job starts.
local function unpark(base, id, now)
  redis.call("ZREM", base .. "waiting-children", id)
  local job = redis.call("HMGET", base .. id, "timestamp", "delay", "priority")
  local due, priority = (tonumber(job[1]) or 0) + (tonumber(job[2]) or 0), tonumber(job[3]) or 0
  if due > now then
    delayUntil(base, id, due)
    redis.call("XADD", base .. "events", "*", "event", "delayed", "jobId", id, "delay", exact(due))
    return due - now
  end
  if priority > 0 then
    local score = priority * 0x100000000 + redis.call("INCR", base .. "pc") % 0x100000000
    redis.call("ZADD", base .. "prioritized", exact(score), id)
  else
    redis.call("LPUSH", base .. "wait", id)
  end
  redis.call("XADD", base .. "events", "*", "event", "waiting", "jobId", id, "prev", "waiting-children")
  return 0
end

-- Whether a job that is not there yet would pass at once.
local function hasRoom(gate, max)
  return redis.call("ZCARD", gate) < max
end

-- Let parked jobs through while there is room. `own` is the job in hand, which is not parked yet. Parked jobs that
-- somebody removed are passed over. Returns how many were let through.
local function release(base, gate, max, now, keep, own)
  local released, longest, hasParked = 0, 0, nil
  local room = max - redis.call("ZCOUNT", gate, 0, 0)
  local looks = 10000 -- of many that were removed some are left to the repair, so that no call takes long
  while room > 0 and hasParked ~= false and looks > 0 do
    looks = looks - 1
    local id = redis.call("ZRANGEBYSCORE", gate, "(0", "+inf", "LIMIT", 0, 1)[1]
    if not id then
      hasParked = false
    elseif id == own then
      redis.call("ZADD", gate, 0, id)
      room = room - 1
    elseif redis.call("ZSCORE", base .. "waiting-children", id) and isUnfinished(base, id) then
      redis.call("ZADD", gate, 0, id)
      longest = math.max(longest, unpark(base, id, now))
      released, room = released + 1, room - 1
    else
      redis.call("ZREM", gate, id)
    end
  end
  if hasParked == false or hasRoom(gate, max + 1) then
    redis.call("ZREM", base .. "job:gates:parked", gate)
    redis.call("PEXPIRE", gate, exact(longest + keep))
  end
  return released
end

local function rankAfter(gate, low, high)
  local last = redis.call("ZREVRANGEBYSCORE", gate, "(" .. exact(high), exact(low), "WITHSCORES", "LIMIT", 0, 1)[2]
  return (last and tonumber(last) or low) + 1
end

-- Where a job stands among the parked ones: in the order of arrival, or by a time of its own (a cron job's slot); before
-- a limit by priority; a job that held its order key before (it failed, and was retried by hand) before all that came
-- after it.
local function rankOf(tie, job)
  if tie.kind == "order" and tie.rank > 0 then
    return tie.rank
  end
  if tie.kind == "limit" then
    return rankAfter(tie.key, job.priority * 0x100000000, (job.priority + 1) * 0x100000000)
  end
  return job.ranBefore and math.min(job.timestamp, NEVER_RAN - 1) or rankAfter(tie.key, NEVER_RAN, 2 ^ 53)
end

-- Pass the gate, or stand in line before it; true where the job holds it now.
local function pass(base, tie, job, now, keep)
  local score = redis.call("ZSCORE", tie.key, job.id)
  if score and tonumber(score) == 0 then
    return true
  end
  if not score then
    if hasRoom(tie.key, tie.max) then
      if redis.call("ZADD", tie.key, 0, job.id) == redis.call("ZCARD", tie.key) then
        redis.call("PEXPIRE", tie.key, exact(job.startsIn + keep))
      else -- one that has parked jobs, before a limit that was raised, has no end
        extend(tie.key, job.startsIn + keep)
      end
      return true
    end
    redis.call("ZADD", tie.key, exact(rankOf(tie, job)), job.id)
  end
  if release(base, tie.key, tie.max, now, keep, job.id) > 0 then
    markReady(base)
  end
  if tonumber(redis.call("ZSCORE", tie.key, job.id)) == 0 then
    return true
  end
  redis.call("ZADD", base .. "job:gates:parked", "NX", 0, tie.key)
  redis.call("PERSIST", tie.key)
  return false
end
