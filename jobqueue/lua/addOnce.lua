--[[
  Add a job under an id of its caller's, and tell whether it is new.
  The shipped script answers with the same id in both cases.
  KEYS, ARGV: those of the shipped add script, and then
    KEYS[#KEYS] job hash
  Returns: {1 if created else 0, job id}, or the shipped script's negative code.
]]
local existed = redis.call("EXISTS", KEYS[#KEYS]) == 1
local id = shipped()
if type(id) == "number" then
  return id
end
return {existed and 0 or 1, id}
