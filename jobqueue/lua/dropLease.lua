--[[
  Give a lease back, so that another relay need not wait for its end.
  KEYS[1] the lease
  ARGV[1] token
  Returns: 1 where it was the token's, else 0
]]
if redis.call("GET", KEYS[1]) == ARGV[1] then
  return redis.call("DEL", KEYS[1])
end
return 0
