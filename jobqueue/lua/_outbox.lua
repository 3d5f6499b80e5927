-- Included after _gates. Jobs that are added on terms: those that a relay moves from the outbox, once each and only while
-- its hold on the queue is the latest; and those that have no room in a full queue. From the first of these on all are
-- refused, until the relay has taken the flag away: who comes later must not overtake what was spilled. The flag counts
-- the refused and the settled (written to the table, or given up), so that it is known whether some are on their way.
local FLAG_KEEP = 90 * 24 * 60 * 60 * 1000

local function clock()
  local time = redis.call("TIME")
  return time[1] * 1000 + math.floor(time[2] / 1000)
end

local function depthOf(base)
  return redis.call("LLEN", base .. "wait") + redis.call("ZCARD", base .. "prioritized")
    + redis.call("LLEN", base .. "active")
end

-- What the add answers where the row's job must not be added (again); nil where it may be.
local function answerOfRow(base, asked)
  if redis.call("GET", base .. "job:outbox:hold") ~= asked.hold then
    return {-3, ""}
  end
  local id = redis.call("HGET", base .. "job:outbox:moved", asked.row)
  return id and {0, id, ""}
end

local function noteMoved(base, asked, id)
  redis.call("HSET", base .. "job:outbox:moved", asked.row, id)
  redis.call("PEXPIRE", base .. "job:outbox:moved", asked.keep)
end

local function count(base, field, number)
  local flag = base .. "job:overflow:flag"
  redis.call("HINCRBY", flag, field, number)
  redis.call("HSET", flag, "at", string.format("%.0f", clock()))
  redis.call("PEXPIRE", flag, FLAG_KEEP)
end

-- What the add answers where there is no room: the job goes to the table, or where an overflow is about to end, waits for
-- that; nil where there is room.
local function answerOfFull(base, most)
  local flag = base .. "job:overflow:flag"
  if redis.call("EXISTS", flag) == 1 then
    if tonumber(redis.call("HGET", flag, "closing") or 0) > clock() then
      return {-5, ""}
    end
  elseif depthOf(base) < most then
    return nil
  end
  count(base, "refused", 1)
  return {-2, ""}
end
