--[[
  Finish a superseding job and end its lane and mark. A job that was marked before this moment completes as
  superseded, whatever its handler returned.
  KEYS, ARGV: those of the shipped moveToFinished, and then
    KEYS[#KEYS-1] lane (hash: holder, rank)
    KEYS[#KEYS]   mark of this job
  Returns: {id of the job that superseded it or "", the shipped script's answer}
]]
local lane, mark = KEYS[#KEYS - 1], KEYS[#KEYS]
local by = redis.call("GET", mark)
if by and ARGV[5] == "completed" then
  ARGV[4] = cjson.encode({superseded = true, by = by})
end
local answer = shipped()
if type(answer) == "table" or answer == 0 then
  redis.call("DEL", mark)
  if redis.call("HGET", lane, "holder") == ARGV[1] then
    redis.call("DEL", lane)
  end
end
return {by or "", answer}
