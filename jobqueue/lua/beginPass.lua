--[[
  Begin a pass that makes schedulers equal to the table; to be called before the table is read.
  KEYS[1] job:cron:passes  KEYS[2] job:cron:schedulers
  ARGV[1] how long passes are remembered, ms
  Returns: {the number of the pass, Redis's time in epoch ms, the ids of the schedulers that are ours}
]]
local pass = redis.call("HINCRBY", KEYS[1], "begun", 1)
redis.call("PEXPIRE", KEYS[1], ARGV[1])
local time = redis.call("TIME")
return {pass, time[1] * 1000 + math.floor(time[2] / 1000), redis.call("HKEYS", KEYS[2])}
