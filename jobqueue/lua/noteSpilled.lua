--[[
  Say that jobs which were refused are settled: they stand in the table of the outbox now, or their callers were told
  that they do not. New ones are spilled behind them, also where the relay has just taken the flag away.
  KEYS[1] the overflow flag
  ARGV: base, how many, 1 where they were written
  Returns: 0
]]
-- include _outbox
local isThere = redis.call("EXISTS", KEYS[1]) == 1
if ARGV[3] == "1" and not isThere then
  count(ARGV[1], "refused", ARGV[2])
end
if ARGV[3] == "1" or isThere then
  count(ARGV[1], "settled", ARGV[2])
end
return 0
