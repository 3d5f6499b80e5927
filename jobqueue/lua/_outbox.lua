-- Included after _gates. Jobs that are added on terms: those that a relay moves from the outbox, once each and only while
-- it has the lease; and those that have no room in a full queue. From the first of these on all are refused, until the
-- relay has taken the flag away: who comes later must not overtake what was spilled.
local function depthOf(base)
  return redis.call("LLEN", base .. "wait") + redis.call("ZCARD", base .. "prioritized")
    + redis.call("LLEN", base .. "active")
end

-- What the add answers where the row's job must not be added (again); nil where it may be.
local function answerOfRow(base, asked)
  if redis.call("GET", base .. "job:outbox:lease") ~= asked.lease then
    return {-3, ""}
  end
  local id = redis.call("HGET", base .. "job:outbox:moved", asked.row)
  return id and {0, id, ""}
end

local function noteMoved(base, asked, id)
  redis.call("HSET", base .. "job:outbox:moved", asked.row, id)
  redis.call("PEXPIRE", base .. "job:outbox:moved", asked.keep)
end

local function isFull(base, most)
  return redis.call("EXISTS", base .. "job:overflow:flag") == 1 or depthOf(base) >= most
end

local function noteSpilled(base, count, keep)
  local flag, time = base .. "job:overflow:flag", redis.call("TIME")
  redis.call("HINCRBY", flag, "spilled", count)
  redis.call("HSET", flag, "at", string.format("%.0f", time[1] * 1000 + math.floor(time[2] / 1000)))
  redis.call("PEXPIRE", flag, keep)
end
