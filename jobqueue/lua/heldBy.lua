--[[
  Find the active job that a token holds: after a lost answer, it tells whether a claim or completion happened.
  KEYS[1] active (list)
  ARGV[1] key base of the queue
  ARGV[2] token
  ARGV[3] job that the token held before, or "": looked at first, since mostly nothing has happened
  Returns: {hash of the job, job id}, or {}
]]
local base, token, before = ARGV[1], ARGV[2], ARGV[3]
local function holds(id)
  return redis.call("GET", base .. id .. ":lock") == token
end
if before ~= "" and holds(before) then
  return {redis.call("HGETALL", base .. before), before}
end
for _, id in ipairs(redis.call("LRANGE", KEYS[1], 0, -1)) do
  if holds(id) then
    return {redis.call("HGETALL", base .. id), id}
  end
end
return {}
