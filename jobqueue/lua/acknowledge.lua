--[[
  Tell the worker of an active job how its work ended elsewhere.
  KEYS[1] active (list)
  KEYS[2] mark (string)
  KEYS[3] channel of signals
  KEYS[4] job
  ARGV[1] job id
  ARGV[2] how: "done" and the result's JSON, or "requeue"
  ARGV[3] ms that the mark lives
  Returns: 1; 0 where the job is not active
]]
if not redis.call("LPOS", KEYS[1], ARGV[1]) then
  return 0
end
local mark = (redis.call("HGET", KEYS[4], "timestamp") or "") .. ":" .. ARGV[2]
redis.call("SET", KEYS[2], mark, "PX", ARGV[3])
redis.call("PUBLISH", KEYS[3], "acknowledged\n" .. ARGV[1] .. "\n" .. mark)
return 1
