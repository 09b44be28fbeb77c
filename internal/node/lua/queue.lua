-- Takes a position in the wait queue of a lock, and finds out which waiter comes first there. It
-- changes nothing if this value has the lock already. held.lua comes before this, and fence.lua
-- where there is a fencing token. What is declared here is for acquire_in_turn.lua, and
-- acquire_all_in_turn.lua:
--   last       the largest ticket that was seen
--   head       {the waiter id of the first in the queue, its ticket}, or empty
--   first      whether no other waiter comes first
--   leaveFlag  leaves the waiter flag
--   pass       gives the position to the next caller of the waiter, or up if there is none
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
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local me = ARGV.waiter
local mine = ARGV.ticket ~= '0' and me
local head, first = {}, true

local last = tonumber(redis.call('HGET', KEYS.lease, 'last') or '0')
if tonumber(ARGV.last) > last then
  last = tonumber(ARGV.last)
  if held ~= ARGV.value then -- what is written below gives it an end
    redis.call('HSET', KEYS.lease, 'last', ARGV.last)
  end
end
if held ~= ARGV.value then
  if mine then
    redis.call('ZADD', KEYS.queue, ARGV.ticket, me)
    redis.call('HSET', KEYS.lease, me, string.format('%.0f %s', now + ARGV.positionTTL, ARGV.count))
  end
  if redis.call('PTTL', KEYS.queue) < 2 * ARGV.positionTTL then -- other waiters may have longer ones
    redis.call('PEXPIRE', KEYS.queue, 2 * ARGV.positionTTL)
  end
  if redis.call('PTTL', KEYS.lease) < 2 * ARGV.positionTTL then
    redis.call('PEXPIRE', KEYS.lease, 2 * ARGV.positionTTL)
  end
  local rank, reads = 0, string.find(me, '%-r$')
  head = redis.call('ZRANGE', KEYS.queue, 0, 0, 'WITHSCORES')
  while head[1] and head[1] ~= mine do
    local kept = redis.call('HGET', KEYS.lease, head[1])
    if kept and tonumber(string.match(kept, '^%d+')) > now then
      if not (reads and string.find(head[1], '%-r$')) then
        first = false
        break
      end
      rank = rank + 1 -- readers do not keep each other out
    else
      redis.call('ZREM', KEYS.queue, head[1])
      redis.call('HDEL', KEYS.lease, head[1])
    end
    head = redis.call('ZRANGE', KEYS.queue, rank, rank, 'WITHSCORES')
  end
end

local function leaveFlag()
  if ARGV.flagTTL ~= '0' then
    redis.call('SET', KEYS.wait, (head[1] or me) .. '.', 'PX', math.max(redis.call('PTTL', KEYS.wait), ARGV.flagTTL)) -- another waiter may need it for longer
  end
end

local function pass()
  if mine and ARGV.next ~= '0' then
    redis.call('ZADD', KEYS.queue, ARGV.next, me)
    redis.call('HSET', KEYS.lease, me, string.format('%.0f %d', now + ARGV.positionTTL, ARGV.count - 1))
    leaveFlag()
  elseif mine then
    redis.call('ZREM', KEYS.queue, me)
  end
end
