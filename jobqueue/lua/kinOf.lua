--[[
  Some jobs of one queue by name and state, without a look through the list of the waiting ones, which may be long: a job
  that is in no other state and has not finished waits. Reads only.
  KEYS[1] completed, KEYS[2] failed, KEYS[3] delayed, KEYS[4] prioritized, KEYS[5] waiting-children (zsets)
  KEYS[6] active (list)
  ARGV[1] key base of the queue
  ARGV[2..] job ids
  Returns: a list for each id: {state, name, timestamp, the option `place` of a child}; {"unknown"} where no job has it
]]
local words = {"completed", "failed", "delayed", "prioritized", "waiting-children"}

local function stateOf(id, finishedOn)
  for place, word in ipairs(words) do
    if redis.call("ZSCORE", KEYS[place], id) then
      return word
    end
  end
  if redis.call("LPOS", KEYS[6], id) then
    return "active"
  end
  return finishedOn and "unknown" or "waiting"
end

local found = {}
for nth = 2, #ARGV do
  local id = ARGV[nth]
  local job = redis.pcall("HMGET", ARGV[1] .. id, "name", "timestamp", "finishedOn", "opts")
  if job.err or not job[2] then -- no hash, or one that is no job's
    found[nth - 1] = {"unknown"}
  else
    local place = string.match(job[4] or "", '"place":(%d+)')
    found[nth - 1] = {stateOf(id, job[3]), job[1] or "", job[2], place or "0"}
  end
end
return found
