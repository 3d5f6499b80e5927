--[[
  Since when the oldest job of each handler waits that could run now, among those that run next.
  KEYS[1] wait  KEYS[2] prioritized  KEYS[3] delayed
  ARGV[1] key base  ARGV[2] most waiting jobs to look at  ARGV[3] most prioritized, and most delayed ones that are due
  Returns: name, epoch ms, name, epoch ms, …
]]
local base = ARGV[1]
local time = redis.call("TIME")
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local oldest = {}

-- What the options add to the moment that is known: the delay of a first try, the backoff of a later one.
local function pauseOf(options, hasRun, attempts)
  if not string.find(options, '"delay"', 1, true) then
    return 0
  end
  local isJson, given = pcall(cjson.decode, options)
  if not isJson or type(given) ~= "table" then
    return 0
  end
  local backoff = given.backoff
  if not hasRun then
    return tonumber(given.delay) or 0
  elseif type(backoff) ~= "table" then
    return 0
  end
  local step = tonumber(backoff.delay) or 0
  return backoff.type == "exponential" and step * 2 ^ math.max(attempts - 1, 0) or step
end

-- What anybody wrote there may be no time: neither a number that is none nor an endless one.
local function note(name, since)
  if name and math.abs(since) < 2 ^ 53 and since < (oldest[name] or math.huge) then
    oldest[name] = math.min(since, now)
  end
end

local function look(id)
  local job = redis.pcall("HMGET", base .. id, "name", "timestamp", "processedOn", "opts", "atm")
  if job.err then -- a key of another type, so no job
    return
  end
  local name, timestamp, processedOn, options, attempts = unpack(job)
  local since = tonumber(processedOn or nil) or tonumber(timestamp or nil)
  if name and since and since < (oldest[name] or math.huge) then
    local pause = pauseOf(options or "", processedOn and true, tonumber(attempts or 0) or 0)
    note(name, since + math.max(pause, 0))
  end
end

for _, id in ipairs(redis.call("LRANGE", KEYS[1], -tonumber(ARGV[2]), -1)) do
  look(id)
end
for _, id in ipairs(redis.call("ZRANGE", KEYS[2], 0, ARGV[3] - 1)) do
  look(id)
end
local due = redis.call("ZRANGEBYSCORE", KEYS[3], 0, (now + 1) * 4096 - 1, "WITHSCORES", "LIMIT", 0, ARGV[3])
for at = 1, #due, 2 do
  local name = redis.pcall("HGET", base .. due[at], "name")
  note(type(name) == "string" and name, math.floor(tonumber(due[at + 1]) / 4096))
end
local reply = {}
for name, since in pairs(oldest) do
  reply[#reply + 1] = name
  reply[#reply + 1] = string.format("%.0f", since)
end
return reply
