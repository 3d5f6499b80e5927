--[[
  Say that jobs have been spilled to the outbox: new ones are spilled behind them, also where the relay has just taken
  the flag away.
  KEYS[1] the overflow flag
  ARGV: base, how many, keep (ms)
  Returns: 0
]]
-- include _outbox
noteSpilled(ARGV[1], ARGV[2], ARGV[3])
return 0
