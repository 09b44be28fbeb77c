-- Acquires in turn: takes the lock if it is free and no other waiter is before this one in
-- the wait queue. If not, it says why, takes a position in the queue, and leaves the waiter
-- flag. held.lua comes before this, and fence.lua where there is a fencing token.
-- KEYS.wait   the waiter flag, "{key}:wait": the waiter id of the first in the queue, and a
--             dot
-- KEYS.queue  the wait queue, "{key}:queue": a sorted set of waiter ids by tickets
-- KEYS.lease  "{key}:lease", a hash. For each waiter id: until when its position counts, in
--             milliseconds of this server's clock, and how many callers wait under it. And
--             "last": the largest ticket that was seen
-- ARGV.waiter       the waiter id: that of a Locker, for the first of its callers
-- ARGV.flagTTL      how long the flag lives, 0 for no flag
-- ARGV.ticket       the ticket of that caller. 0 if it has none: then it takes no position,
--                   and even the position of its own Locker comes first
-- ARGV.next         the ticket of the caller behind it, 0 if there is none
-- ARGV.last         the largest ticket of all its callers
-- ARGV.positionTTL  how long the position is kept without being asked for again
-- ARGV.count        how many callers the waiter has
-- Times are in milliseconds.
-- Replies  the largest ticket that was seen if the key was free and is now set;
--          else {holder, the value that holds it; left, how long it still lives; last, the
--          largest ticket; first, the ticket of the first in the queue}. If the lock is
--          free and other waiters come first, left is CODE.free and the holder empty.
--          If the holder is the value of this attempt, nothing changes, and first is 0: the
--          attempt came here before, perhaps under another name of this server.
local me = ARGV.waiter
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)

local last = tonumber(redis.call('HGET', KEYS.lease, 'last') or '0')
if tonumber(ARGV.last) > last then
  last = tonumber(ARGV.last)
  if held ~= ARGV.value then -- what is written below gives it an end
    redis.call('HSET', KEYS.lease, 'last', ARGV.last)
  end
end
if held == ARGV.value then
  return {holder = held, left = redis.call('PTTL', KEYS.lock), last = last, first = 0, largest = largest, micros = micros}
end
granted = granted and {last, granted} or last
if ARGV.ticket ~= '0' then
  redis.call('ZADD', KEYS.queue, ARGV.ticket, me)
  redis.call('HSET', KEYS.lease, me, string.format('%.0f %s', now + ARGV.positionTTL, ARGV.count))
end
if redis.call('PTTL', KEYS.queue) < 2 * ARGV.positionTTL then -- other waiters may have longer ones
  redis.call('PEXPIRE', KEYS.queue, 2 * ARGV.positionTTL)
end
if redis.call('PTTL', KEYS.lease) < 2 * ARGV.positionTTL then
  redis.call('PEXPIRE', KEYS.lease, 2 * ARGV.positionTTL)
end

local mine = ARGV.ticket ~= '0' and me
local head = redis.call('ZRANGE', KEYS.queue, 0, 0, 'WITHSCORES')
while head[1] and head[1] ~= mine do
  local kept = redis.call('HGET', KEYS.lease, head[1])
  if kept and tonumber(string.match(kept, '^%d+')) > now then
    break
  end
  redis.call('ZREM', KEYS.queue, head[1])
  redis.call('HDEL', KEYS.lease, head[1])
  head = redis.call('ZRANGE', KEYS.queue, 0, 0, 'WITHSCORES')
end

local function leaveFlag()
  if ARGV.flagTTL ~= '0' then
    redis.call('SET', KEYS.wait, (head[1] or me) .. '.', 'PX', math.max(redis.call('PTTL', KEYS.wait), ARGV.flagTTL)) -- another waiter may need it for longer
  end
end

if held or (head[1] and head[1] ~= mine) then
  leaveFlag()
  return {holder = held or '', left = redis.call('PTTL', KEYS.lock), last = last, first = tonumber(head[2] or '0'), largest = largest, micros = micros}
end
if refusal then
  return {holder = '', left = refusal, last = last, first = tonumber(head[2] or '0'), largest = largest, micros = micros}
end
if mine and ARGV.next ~= '0' then
  redis.call('ZADD', KEYS.queue, ARGV.next, me)
  redis.call('HSET', KEYS.lease, me, string.format('%.0f %d', now + ARGV.positionTTL, ARGV.count - 1))
  leaveFlag()
elseif mine then
  redis.call('ZREM', KEYS.queue, me)
end
if remember then
  remember()
end
redis.call('SET', KEYS.lock, ARGV.value, 'PX', ARGV.ttl) -- last: a script that fails has not set it
return granted
