--[[
  Mend gates whose holder is gone without giving them back: removed, or ended by a worker that does not know them. Of the
  gates with parked jobs those that were looked at longest ago, each at most once in an interval, whoever asks.
  KEYS[1] index of gates with parked jobs (zset: gate, epoch ms of its last repair)
  ARGV[1] key base of the queue
  ARGV[2] now, epoch ms
  ARGV[3] interval, ms
  ARGV[4] most gates to look at
  ARGV[5] ms that a gate without parked jobs is kept
  Returns: how many parked jobs were let through.
]]
-- include _gates
local base, now, keep = ARGV[1], tonumber(ARGV[2]), tonumber(ARGV[5])
local released = 0
local gates = redis.call("ZRANGEBYSCORE", KEYS[1], "-inf", now - tonumber(ARGV[3]), "LIMIT", 0, ARGV[4])
for _, gate in ipairs(gates) do
  local isLimit = string.sub(gate, #base + 1, #base + 10) == "job:limit:"
  local holding = redis.call("ZRANGEBYSCORE", gate, 0, 0)
  for _, id in ipairs(holding) do
    -- under a limit a job that waits for its next try (as a Node worker leaves it) holds nothing
    if not isUnfinished(base, id) or (isLimit and redis.call("ZSCORE", base .. "delayed", id)) then
      redis.call("ZREM", gate, id)
    end
  end
  redis.call("ZADD", KEYS[1], now, gate)
  released = released + release(base, gate, math.max(#holding, 1), now, keep)
end
if released > 0 then
  markReady(base)
end
return released
