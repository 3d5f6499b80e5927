-- Whose run a job is, how one ended that completed, and which one it was skipped for.

local LONG_DATA, LONG_NOTE = 10000, 500

local function decoded(text)
  local isRead, read = pcall(cjson.decode, text or "")
  return isRead and type(read) == "table" and read or {}
end

-- What the job itself carries: its scheduler's id may be another row's by now. Data that would take long is not read.
local function rowInData(base, id)
  if redis.call("HSTRLEN", base .. id, "data") > LONG_DATA then
    return nil
  end
  local data = decoded(redis.call("HGET", base .. id, "data"))
  return data.type == "cron" and type(data.id) == "string" and data.id
end

-- The row that a job belongs to, or nothing. A job that is gone belongs to the row that its scheduler follows.
local function rowOf(base, schedulers, id)
  local triggered = string.match(id, "^cron%.([^.]+)%..")
  local scheduler = string.match(id, "^repeat:(.*):%d+$")
  return triggered or scheduler and (rowInData(base, id) or redis.call("HGET", schedulers, scheduler))
end

-- What our workers write for a job that did not do its work (see outcomes.py). Anything else is a completion.
local function endOf(returned)
  local function isNote(beginning)
    return returned and #returned <= LONG_NOTE and string.sub(returned, 1, #beginning) == beginning
  end
  if isNote('{"skipped":true,"holder":') or isNote('{"skipped":true,"reason":"missed",') then
    return "skipped"
  end
  return isNote('{"superseded":true,"by":') and "superseded" or "completed"
end

local function returnedBy(base, id)
  return redis.call("HSTRLEN", base .. id, "returnvalue") <= LONG_NOTE and redis.call("HGET", base .. id, "returnvalue")
end

-- The unfinished job of the row for which one was skipped, or "".
local function runningBeside(base, schedulers, row, returned)
  local holder = decoded(returned).holder or redis.call("HGET", base .. "job:overlap:" .. row, "holder")
  if type(holder) ~= "string" or rowOf(base, schedulers, holder) ~= row then
    return ""
  end
  local job = redis.call("HMGET", base .. holder, "name", "finishedOn")
  return job[1] and not job[2] and holder or ""
end
