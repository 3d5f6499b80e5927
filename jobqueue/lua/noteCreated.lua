--[[
  Note what a job's handler has enqueued, and forget the creators that were heard of longest ago where there are too
  many. Safe to repeat: a job that is noted already is not noted again.
  KEYS[1] what the job created (zset): each with its number, the first of all is 1
  KEYS[2] the jobs that created some (zset): each with the number that the last of them has in the queue
  KEYS[3] the creator's lock
  ARGV[1] key base
  ARGV[2] creator's id
  ARGV[3] the new job: queue, colon, id
  ARGV[4] how many are kept of a creator, the last ones
  ARGV[5] how many creators are kept
  ARGV[6] a creator is kept for so many jobs that others create
  ARGV[7] how long all of it stays after the last one, ms
  ARGV[8] token of the creator's run
  Returns: 1; 0 where the creator is not this run's any more
]]
if redis.call("GET", KEYS[3]) ~= ARGV[8] then
  return 0
end
local created, creators = KEYS[1], KEYS[2]
local base, creator, place, keep = ARGV[1], ARGV[2], ARGV[3], ARGV[7]

local function noteAs(key, member)
  local last = redis.call("ZRANGE", key, -1, -1, "WITHSCORES")
  local number = (tonumber(last[2]) or 0) + 1
  redis.call("ZADD", key, number, member)
  redis.call("PEXPIRE", key, keep)
  return number
end

local function forget(ids)
  for _, id in ipairs(ids) do
    redis.call("UNLINK", base .. "job:created:" .. id)
    redis.call("ZREM", creators, id)
  end
end

if redis.call("ZSCORE", created, place) then
  return 1
end
noteAs(created, place)
redis.call("ZREMRANGEBYRANK", created, 0, -1 - ARGV[4])
local number = noteAs(creators, creator)
forget(redis.call("ZRANGEBYSCORE", creators, "-inf", number - ARGV[6]))
local tooMany = redis.call("ZCARD", creators) - ARGV[5]
if tooMany > 0 then
  forget(redis.call("ZRANGE", creators, 0, tooMany - 1))
end
return 1
