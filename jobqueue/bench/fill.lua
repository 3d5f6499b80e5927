-- Makes jobs as BullMQ's scripts and workers leave them.
-- KEYS[1] the key of the state (wait, delayed, completed or failed)
-- ARGV[1] what all keys of the queue begin with   ARGV[2] the state   ARGV[3] the first id   ARGV[4] how many
-- ARGV[5] now, in epoch milliseconds
-- Returns nothing.
local base, state, first, count, now = ARGV[1], ARGV[2], tonumber(ARGV[3]), tonumber(ARGV[4]), tonumber(ARGV[5])
local names = {'heartbeat', 'sendWebhook', 'queueCleanup', 'importOrders', 'resizeImage'}
local stack = 'Traceback (most recent call last):\n  File "app.py", line 3, in send\nOSError: no answer'

local function whole(number)
  return string.format('%.0f', number)
end

for number = first, first + count - 1 do
  local id, at = whole(number), now - number % 86400 * 1000
  local data = cjson.encode({
    type = 'adhoc',
    payload = {orderId = 'order-' .. id, customer = {id = number % 1000, apiKey = 'secret-' .. id}, lines = {1, 2, 3}},
    related = {type = 'order', id = whole(number % 5000)},
  })
  local fields = {
    'name', names[number % #names + 1], 'data', data, 'timestamp', whole(at), 'delay', '0', 'priority', '0',
    'opts', '{"attempts":3,"backoff":{"type":"exponential","delay":5000}}',
  }
  local function add(more)
    for _, one in ipairs(more) do fields[#fields + 1] = one end
  end
  local ended = whole(at + 250)
  if state == 'completed' then
    add({'atm', '1', 'ats', '1', 'processedOn', ended, 'finishedOn', ended, 'returnvalue', '{"ok":true}'})
  elseif state == 'failed' then
    add({'atm', '3', 'ats', '3', 'processedOn', ended, 'finishedOn', ended, 'failedReason', 'no answer'})
    add({'stacktrace', cjson.encode({stack})})
  end
  redis.call('HSET', ARGV[1] .. id, unpack(fields))
  if state == 'wait' then
    redis.call('LPUSH', KEYS[1], id)
  elseif state == 'delayed' then
    redis.call('ZADD', KEYS[1], whole((now + (number % 86400 + 60) * 1000) * 4096), id)
  else
    redis.call('ZADD', KEYS[1], ended, id)
  end
end
