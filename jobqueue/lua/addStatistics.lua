--[[
  Add one batch of a worker's figures to what is kept for its minute and for the longer times that this is in. A batch
  that is sent again, because the answer was lost, is added once.
  KEYS[1] number of the worker's last batch (string)
  ARGV[1] key base
  ARGV[2] msgpack: number, age (ms), sentKeep (ms), most (handlers of a hash), others (name of those above that),
    resolutions ({word, step (ms), keep (ms)}), handlers ({name, {code, count, code, count, …}})
  Returns: 1, or 0 where the batch had been added before.
]]
local base, batch = ARGV[1], cmsgpack.unpack(ARGV[2])

local function add(sums, numbers)
  for at = 1, #numbers - 1, 2 do
    local code, count = numbers[at], numbers[at + 1]
    if type(code) == "number" and type(count) == "number" then
      sums[code] = (sums[code] or 0) + count
    end
  end
end

local function addTo(key, name, numbers)
  local row = redis.call("HGET", key, name)
  if not row and redis.call("HLEN", key) >= batch.most then
    name = batch.others
    row = redis.call("HGET", key, name)
  end
  local sums, flat = {}, {}
  local isPacked, kept = pcall(cmsgpack.unpack, row or "\144")
  if isPacked and type(kept) == "table" then
    add(sums, kept)
  end
  add(sums, numbers)
  for code, count in pairs(sums) do
    flat[#flat + 1] = code
    flat[#flat + 1] = count
  end
  redis.call("HSET", key, name, cmsgpack.pack(flat))
end

if (tonumber(redis.call("GET", KEYS[1]) or 0) or 0) >= batch.number then
  return 0
end
local time = redis.call("TIME")
local at = time[1] * 1000 + math.floor(time[2] / 1000) - batch.age
for _, resolution in ipairs(batch.resolutions) do
  local word, step, keep = unpack(resolution)
  local key = base .. "job:stats:" .. word .. "-" .. string.format("%.0f", math.floor(at / step))
  for _, handler in ipairs(batch.handlers) do
    addTo(key, handler[1], handler[2])
  end
  redis.call("PEXPIRE", key, keep)
end
redis.call("SET", KEYS[1], batch.number, "PX", batch.sentKeep)
return 1
