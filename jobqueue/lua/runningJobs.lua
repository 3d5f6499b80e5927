--[[
  Some of the active jobs, the last claimed first, and whose they are.
  KEYS[1] active
  ARGV[1] key base  ARGV[2] first  ARGV[3] last
  Returns: {how many are active, id, name, epoch ms of the claim, name of the worker, token of the lock, id, …}, "" for
    what is not told.
]]
local base = ARGV[1]
local reply = {redis.call("LLEN", KEYS[1])}
local function say(value)
  reply[#reply + 1] = type(value) == "string" and value or "" -- nothing, or an error: a key of another type
end
for _, id in ipairs(redis.call("LRANGE", KEYS[1], ARGV[2], ARGV[3])) do
  local job = redis.pcall("HMGET", base .. id, "name", "processedOn", "pb")
  say(id)
  say(job[1])
  say(job[2])
  say(job[3])
  say(redis.pcall("GET", base .. id .. ":lock"))
end
return reply
