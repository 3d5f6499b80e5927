--[[
  The same field of many hashes, in one answer instead of one for each. Reads only.
  KEYS the hashes
  ARGV[1] the field
  Returns: its value in each, nil where there is none, and where the key is of another type
]]
local values = {}
for at, key in ipairs(KEYS) do
  local value = redis.pcall("HGET", key, ARGV[1])
  values[at] = type(value) == "string" and value
end
return values
