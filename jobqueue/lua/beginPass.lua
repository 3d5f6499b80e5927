--[[
  Begin a pass that makes schedulers equal to the table; to be called before the table is read.
  KEYS[1] job:cron:passes  KEYS[2] job:cron:schedulers
  ARGV[1] how long passes are remembered, ms  ARGV[2] "1" where there are rows that may want schedulers
  Returns: {the number of the pass, the ids of the schedulers that are ours}; nothing where there is nothing to do.
]]
if ARGV[2] ~= "1" and redis.call("EXISTS", KEYS[2]) == 0 then
  return {}
end
local pass = redis.call("HINCRBY", KEYS[1], "begun", 1)
redis.call("PEXPIRE", KEYS[1], ARGV[1])
return {pass, redis.call("HKEYS", KEYS[2])}
