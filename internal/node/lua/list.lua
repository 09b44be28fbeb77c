-- Looks at several keys without touching them: which of them are locks, who holds each,
-- for how long, and how many wait for it.
-- KEYS     three for each: the key, and its side keys "queue" and "lease"; see turn.lua
-- ARGV[1]  the longest value of a lock of ours
-- ARGV[2]  the longest value of a lock of another library
-- ARGV[3]  how many commands may be run before the rest is left for the next call
-- Replies  three for each: the value, its remaining time to live in milliseconds, and how
--          many wait; an empty value if the key is no lock. It may be about fewer keys
--          than asked for: then about the first of them, and about one at least.
-- No more of a key is moved than the longest value, and one byte. A foreign value is told
-- only if it is short, has a time to live and no character that tokens do not have; who
-- asks looks at it once more.
local replies, spent, now = {}, 0, nil
local longest, short, most = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3])
local queues = {}
for i = 2, #KEYS, 3 do
  queues[#queues + 1] = KEYS[i]
end
local nobody = redis.pcall('EXISTS', unpack(queues)) == 0 -- one command in place of many, since few wait
for i = 1, #KEYS, 3 do
  local value = redis.pcall('GETRANGE', KEYS[i], '0', ARGV[1])
  local left, waiting = -2, 0
  spent = spent + 1
  if type(value) == 'table' then
    if not string.find(value.err, 'WRONGTYPE', 1, true) then
      return value
    end
    value = ''
  end
  local ours = string.sub(value, 1, 4) == 'rl1:' and #value <= longest
  local token = #value > 0 and #value <= short and not string.find(value, '[^%w+/=_-]')
  if ours or token then
    left = redis.call('PTTL', KEYS[i])
    spent = spent + 1
  end
  if ours and left ~= -2 or token and left >= 0 then
    local line = nobody and {} or redis.pcall('ZRANGE', KEYS[i + 1], 0, -1)
    spent = spent + 1 + #line
    for _, name in ipairs(line) do
      if not now then
        local time = redis.call('TIME')
        now = time[1] * 1000 + math.floor(time[2] / 1000)
      end
      local kept, count = string.match(redis.call('HGET', KEYS[i + 2], name) or '', '^(%d+) (%d+)$')
      if kept and tonumber(kept) > now then
        waiting = waiting + tonumber(count)
      end
    end
  else
    value, left = '', -2
  end
  replies[i], replies[i + 1], replies[i + 2] = value, left, waiting
  if spent >= most then
    break
  end
end
return replies
