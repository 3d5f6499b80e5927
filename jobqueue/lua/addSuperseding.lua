--[[
  Add a job and claim its lane in one step: a failed add evicts nobody, and a job that exists already claims nothing.
  KEYS, ARGV: those of the shipped add script, and then
    KEYS[#KEYS-1] lane (hash: holder, rank)
    KEYS[#KEYS]   channel of signals
    ARGV[#ARGV-3] key base of the queue
    ARGV[#ARGV-2] custom job id or ""
    ARGV[#ARGV-1] now, epoch ms: the rank of this claim
    ARGV[#ARGV]   ms that lane and mark outlive the start of their jobs
  Returns: {1 if created else 0, job id, id of the superseded job or ""}, or the shipped script's negative code.
]]
-- include _claimLane
local base, customId, now, keep = ARGV[#ARGV - 3], ARGV[#ARGV - 2], ARGV[#ARGV - 1], ARGV[#ARGV]
local existed = customId ~= "" and redis.call("EXISTS", base .. customId) == 1
local id = shipped()
if type(id) == "number" then
  return id
end
if existed then
  return {0, id, ""}
end
redis.call("DEL", base .. "job:superseded:" .. id) -- left by a job of that id which was removed
return {1, id, claimLane(base, KEYS[#KEYS - 1], KEYS[#KEYS], id, now, now, keep)}
