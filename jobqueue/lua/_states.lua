-- In which state a job is, told without a look through a long list: whoever waits is in none of the others.
local SORTED = {"completed", "failed", "delayed", "prioritized", "waiting-children"}

local function isAmong(base, state, id)
  if state == "active" then
    return redis.call("LPOS", base .. state, id) ~= false
  end
  return redis.call("ZSCORE", base .. state, id) ~= false
end

local function isIn(base, state, id)
  if state ~= "waiting" and state ~= "paused" then
    return isAmong(base, state, id)
  end
  for _, other in ipairs(SORTED) do
    if isAmong(base, other, id) then
      return false
    end
  end
  return not isAmong(base, "active", id)
end
