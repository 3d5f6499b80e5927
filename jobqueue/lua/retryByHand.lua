--[[
  Put a failed job back to waiting, free of the marks of its former life, and count it again among its object's jobs. Its
  place before an order key or a limit it takes when it is picked up.
  Around: reprocessJob
  KEYS, ARGV: those of reprocessJob, and then
    ARGV[#ARGV] msgpack: base, jobId, keep (ms), ties
  Returns: 1; {-1, id of the unfinished job} where duplicates are rejected; or the shipped script's negative code.
]]
-- include _ties
local asked = cmsgpack.unpack(ARGV[#ARGV])
local base, id = asked.base, asked.jobId
for _, tie in ipairs(asked.ties) do
  local holder = tie.kind == "unique" and redis.call("HGET", tie.key, "holder")
  if holder and holder ~= id and isUnfinished(base, holder) then
    return {-1, holder}
  end
end
local answer = shipped(KEYS, ARGV)
if answer ~= 1 then
  return answer
end
clearMarks(base, id)
for _, tie in ipairs(asked.ties) do
  if tie.kind == "unique" then
    redis.call("HSET", tie.key, "holder", id)
    redis.call("PEXPIRE", tie.key, exact(asked.keep))
  elseif tie.kind == "related" then
    redis.call("SADD", tie.key, id)
    redis.call("PEXPIRE", tie.key, exact(math.max(redis.call("PTTL", tie.key), asked.keep)))
  end
end
return 1
