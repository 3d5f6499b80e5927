--[[
  Ask those who enqueue to wait for a moment, since an overflow is about to end: else, where they come quickly enough,
  there would always be one on its way to the table, and it would never end.
  KEYS[1] the overflow flag
  ARGV: base, for how long (ms)
  Returns: 0
]]
-- include _outbox
if redis.call("EXISTS", KEYS[1]) == 1 then
  redis.call("HSET", KEYS[1], "closing", string.format("%.0f", clock() + ARGV[2]))
end
return 0
