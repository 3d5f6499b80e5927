--[[
  Find the active job that a token holds: after a lost answer, it tells whether a claim or completion happened.
  KEYS[1] active (list)
  ARGV[1] key base of the queue
  ARGV[2] token
  Returns: {hash of the job, job id}, or {}
]]
for _, id in ipairs(redis.call("LRANGE", KEYS[1], 0, -1)) do
  if redis.call("GET", ARGV[1] .. id .. ":lock") == ARGV[2] then
    return {redis.call("HGETALL", ARGV[1] .. id), id}
  end
end
return {}
