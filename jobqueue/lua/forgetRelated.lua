--[[
  Take a job out of the unfinished ones of an object to which it does not belong any more, unless it became another since.
  KEYS[1] jobs of the object (set)
  KEYS[2] hash of the job
  ARGV[1] job id
  ARGV[2] time of the job's enqueueing as it was read; "" where there was no job
  Returns: 1 where it was taken out, else 0
]]
if (redis.call("HGET", KEYS[2], "timestamp") or "") == ARGV[2] then
  return redis.call("SREM", KEYS[1], ARGV[1])
end
return 0
