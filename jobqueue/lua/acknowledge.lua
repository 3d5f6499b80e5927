--[[
  Tell the worker of an active job how its work ended elsewhere.
  KEYS[1] active (list)
  KEYS[2] mark (string)
  KEYS[3] channel of signals
  ARGV[1] job id
  ARGV[2] how: "done" and the result's JSON, or "requeue"
  ARGV[3] ms that the mark lives
  Returns: 1; 0 where the job is not active
]]
if not redis.call("LPOS", KEYS[1], ARGV[1]) then
  return 0
end
redis.call("SET", KEYS[2], ARGV[2], "PX", ARGV[3])
redis.call("PUBLISH", KEYS[3], "acknowledged\n" .. ARGV[1] .. "\n" .. ARGV[2])
return 1
