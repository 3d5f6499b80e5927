--[[
  Note a trigger before it is added: the reading of its queue's events begins, though the queue may have no scheduler,
  and its run is told of though its events may be trimmed unread.
  KEYS[1] history (hash: leader, until (ms), cursor, and the ids of triggers)
  ARGV[1] id of its job, or "" to note none  ARGV[2] ms that the history outlives it  ARGV[3] most triggers to note
  Returns: nothing.
]]
redis.call("HSETNX", KEYS[1], "cursor", "0-0")
if ARGV[1] ~= "" and redis.call("HLEN", KEYS[1]) < tonumber(ARGV[3]) then -- where nobody reads, they would grow without end
  redis.call("HSET", KEYS[1], ARGV[1], "")
end
redis.call("PEXPIRE", KEYS[1], ARGV[2])
