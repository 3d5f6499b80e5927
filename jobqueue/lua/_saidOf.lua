-- What a mark says of a job, or nil. The mark names the time of its job's enqueueing: one of a job that was removed says
-- nothing of a later job with the same id.
local function saidOf(jobKey, mark)
  local said = redis.call("GET", mark)
  if not said then
    return nil
  end
  local at, what = string.match(said, "^([^:]*):(.*)$")
  return at == (redis.call("HGET", jobKey, "timestamp") or "") and what or nil
end
