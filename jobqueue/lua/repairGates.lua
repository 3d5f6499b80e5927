--[[
  Mend gates whose holder is gone without giving them back: removed, or ended by a worker that does not know them; and
  gates whose limit has changed, or is no more. Of the gates with parked jobs those that were looked at longest ago, each
  at most once in an interval, whoever asks.
  KEYS[1] index of gates with parked jobs (zset: gate, epoch ms of its last repair)
  ARGV[1] msgpack: base, now, interval (ms), gates (most to look at), jobs (most to let through where no limit is left),
    keep (ms that a gate without parked jobs stays), limits (handler -> its limit, 0 for none)
  Returns: how many parked jobs were let through.
]]
-- include _gates
local asked = cmsgpack.unpack(ARGV[1])
local base, now, keep = asked.base, asked.now, asked.keep

-- The limit of a gate by its key, `{base}job:limit:{handler}[:{partition}]`; nil where nobody here knows it.
local function limitOf(gate)
  local handler = string.match(string.sub(gate, #base + 1), "^job:limit:([^:]*)")
  return handler and asked.limits[handler]
end

local function isHeldInVain(gate, id)
  -- under a limit a job that waits for its next try (as a Node worker leaves it) or for others holds nothing
  local isLimit = string.sub(gate, #base + 1, #base + 10) == "job:limit:"
  local function waitsIn(word)
    return redis.call("ZSCORE", base .. word, id)
  end
  return not isUnfinished(base, id) or (isLimit and (waitsIn("delayed") or waitsIn("waiting-children")))
end

-- Nobody who asks knows of a limit: its parked jobs go on, and ask anew where it is known. Who holds it runs on.
local function letAllGo(gate)
  local parked = redis.call("ZRANGEBYSCORE", gate, "(0", "+inf", "LIMIT", 0, asked.jobs)
  local freed = 0
  for _, id in ipairs(parked) do
    if redis.call("ZSCORE", base .. "waiting-children", id) and isUnfinished(base, id) then
      unpark(base, id, now)
      freed = freed + 1
    end
    redis.call("ZREM", gate, id)
  end
  return freed
end

local released = 0
local gates = redis.call("ZRANGEBYSCORE", KEYS[1], "-inf", now - asked.interval, "LIMIT", 0, asked.gates)
for _, gate in ipairs(gates) do
  local holding = redis.call("ZRANGEBYSCORE", gate, 0, 0)
  local limit = limitOf(gate)
  for _, id in ipairs(holding) do
    if isHeldInVain(gate, id) then
      redis.call("ZREM", gate, id)
    end
  end
  redis.call("ZADD", KEYS[1], now, gate)
  if limit == 0 then
    released = released + letAllGo(gate)
  end
  local max = limit and math.max(limit, 1) or math.max(#holding, 1)
  released = released + release(base, gate, max, now, keep)
end
if released > 0 then
  markReady(base)
end
return released
