--[[
  Take away the markers of rows that are deleted, as long as the hold is the latest: under a later one somebody may be
  moving rows that he has read before they were deleted.
  KEYS[1] the hold, KEYS[2] the markers
  ARGV: hold, keys of the rows
  Returns: 1, or 0 where the hold is another's
]]
if redis.call("GET", KEYS[1]) ~= ARGV[1] then
  return 0
end
for place = 2, #ARGV do
  redis.call("HDEL", KEYS[2], ARGV[place])
end
return 1
