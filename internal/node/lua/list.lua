-- Looks at several keys without touching them: which of them are locks, which value holds
-- each, for how long, and how many callers wait for it.
-- KEYS.queue and KEYS.lease are those of the key's wait queue: see queue.lua.
-- ARGV.longestOurs   the longest value of a lock of ours
-- ARGV.longestToken  the longest value of a lock of another library
-- ARGV.most          how many commands may be run before the rest is left for the next call
-- Replies  three for each key: the holder, the remaining time to live in milliseconds, and
--          how many callers wait. The holder is empty if the key is no lock. The reply may
--          cover only the first of the keys, and covers at least one.
-- No more of a key is moved than the longest value, and one byte. A foreign value is
-- reported only if it is short, has a time to live and no character that tokens do not
-- have. The client checks it once more.
local replies, spent, now = {}, 0, nil
local longest, short, most = tonumber(ARGV.longestOurs), tonumber(ARGV.longestToken), tonumber(ARGV.most)
local unqueued = redis.pcall('EXISTS', unpack(EVERY.queue)) == 0 -- one command in place of many, since few locks have waiters
for i = 1, #keys do
  local KEYS = lock(i)
  local value = redis.pcall('GETRANGE', KEYS.lock, '0', ARGV.longestOurs)
  local left, waiting = CODE.free, 0
  spent = spent + 1
  if type(value) == 'table' then
    if not string.find(value.err, 'WRONGTYPE', 1, true) then
      return value
    end
    value = readers(KEYS) or ''
  end
  local ours = string.find(value, '^r[ls]1:') and #value <= longest
  local token = #value > 0 and #value <= short and not string.find(value, '[^%w+/=_-]')
  if ours or token then
    left = redis.call('PTTL', KEYS.lock)
    spent = spent + 1
  end
  if ours and left ~= CODE.free or token and left >= 0 then
    local queue = unqueued and {} or redis.pcall('ZRANGE', KEYS.queue, 0, -1)
    spent = spent + 1 + #queue
    for _, waiter in ipairs(queue) do
      if not now then
        local time = redis.call('TIME')
        now = time[1] * 1000 + math.floor(time[2] / 1000)
      end
      local kept, count = string.match(redis.call('HGET', KEYS.lease, waiter) or '', '^(%d+) (%d+)$')
      if kept and tonumber(kept) > now then
        waiting = waiting + tonumber(count)
      end
    end
  else
    value, left = '', CODE.free
  end
  replies[3 * i - 2], replies[3 * i - 1], replies[3 * i] = value, left, waiting
  if spent >= most then
    break
  end
end
return replies
