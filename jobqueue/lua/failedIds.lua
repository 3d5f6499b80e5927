--[[
  The ids in one stretch of the failed jobs that were cancelled, or of those that were not, latest first.
  KEYS[1] failed (zset)
  ARGV[1] key base of the queue
  ARGV[2] how the reason of a cancelled job begins
  ARGV[3] "1" for the cancelled ones, "0" for the others
  ARGV[4] first rank, 0 is the latest
  ARGV[5] last rank
  Returns: {how many failed jobs there are in all, list of ids}
]]
local base, beginning, wanted = ARGV[1], ARGV[2], ARGV[3] == "1"
local found = {}
for _, id in ipairs(redis.call("ZREVRANGE", KEYS[1], ARGV[4], ARGV[5])) do
  local reason = redis.pcall("HGET", base .. id, "failedReason") -- an error where that key is no hash, so no job
  local isCancelled = type(reason) == "string" and string.sub(reason, 1, #beginning) == beginning
  if isCancelled == wanted then
    found[#found + 1] = id
  end
end
return {redis.call("ZCARD", KEYS[1]), found}
