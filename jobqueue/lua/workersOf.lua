--[[
  The records that workers of ours keep in some queues. Reads only.
  KEYS the sets of starts, one for each queue
  ARGV[1] most starts of a queue  ARGV[2..] what the key of a record begins with, for each queue
  Returns: for each queue {start, record, ms until it ends, start, record, ms, …}, in order of the starts
]]
local replies = {}
for nth, key in ipairs(KEYS) do
  local starts, records = redis.pcall("SMEMBERS", key), {}
  if starts.err then -- a key of another type
    starts = {}
  end
  table.sort(starts)
  for place = 1, math.min(#starts, tonumber(ARGV[1])) do
    local record = ARGV[nth + 1] .. starts[place]
    local text = redis.pcall("GET", record)
    if type(text) == "string" then
      records[#records + 1] = starts[place]
      records[#records + 1] = text
      records[#records + 1] = redis.call("PTTL", record)
    end
  end
  replies[nth] = records
end
return replies
