-- Gives the lock up if, and only if, this value holds it, and notifies the waiters, if there
-- are any. held.lua and drop.lua come before this, or for a reader shared.lua and leave.lua.
-- KEYS.wait is the waiter flag, "{key}:wait". Without it no waiter is notified.
-- KEYS.queue and KEYS.lease are the wait queue (see queue.lua), given if the lock
-- was taken with regard to it.
-- ARGV.releaser  an id that the releasing Locker shares with those on the same clients
--                with the same habits (see package waiting); a
--                flag that their waiters leave is that, a dot and a number. With a ticket it is
--                the id of that Locker alone, as in the queue
-- ARGV.ticket    the ticket of the acquisition, if it had one: it leaves the queue
-- ARGV.requeue   given if it goes back to its position instead, since too few nodes granted
--                the lock; then no waiter is notified
-- Replies  0 if the key is gone or holds another value, 1 if deleted, else the id of the
--          first in the queue, or the waiter id in the flag, if it is not ARGV.releaser's
-- The channel of the waiters is "{key}:wake"; that of a waiter in the queue is
-- "{key}:wake:" and its id. (A channel is no key: its name may be made of one.) The message
-- says the same as the reply: the first in the queue, the releaser itself included, or else
-- the waiter id in the flag. It is empty if that is the releaser's, or '*', a watcher's
-- (inspect.lua). A flag that ends with the dot names the first in the queue
-- (queue.lua): that waiter is next where this release does not look at the queue,
-- or this server has lost it.
-- A notification is a hint: an ACL user with the right to lock may have none to publish.
local ours = held == ARGV.value
if not ours and not ARGV.ticket then
  return 0
end
local free = drop()

if ARGV.requeue then
  -- Unless the waiter gave the position up since: then it has no field in KEYS.lease.
  local left = redis.call('PTTL', KEYS.lease)
  if ours and left > 0 and redis.call('HEXISTS', KEYS.lease, ARGV.releaser) == 1 then
    redis.call('ZADD', KEYS.queue, ARGV.ticket, ARGV.releaser)
    redis.call('PEXPIRE', KEYS.queue, left)
  end
  return ours and 1 or 0
end
if ARGV.ticket then
  local position = redis.call('ZSCORE', KEYS.queue, ARGV.releaser)
  if not position or tonumber(position) <= tonumber(ARGV.ticket) then
    redis.call('ZREM', KEYS.queue, ARGV.releaser)
    redis.call('HDEL', KEYS.lease, ARGV.releaser)
  end
  if not free then
    local next = held and string.sub(held, 1, 4) == 'rs1:' and redis.pcall('ZRANGE', KEYS.queue, 0, 0)[1]
    if next and string.find(next, '%-r$') then -- no writer is before it any more
      redis.pcall('PUBLISH', string.sub(KEYS.wait, 1, -1 - #'wait') .. 'wake:' .. next, next)
    end
    return ours and 1 or 0 -- KEYS.lease stays: a holder may yet go back into the queue
  end
  -- The queue of a semaphore ("{name/}:queue") is that of several locks: holders of others may go back.
  if string.sub(KEYS.wait, -7) ~= '/}:wait' and redis.call('EXISTS', KEYS.queue) == 0 then
    redis.call('DEL', KEYS.lease)
  end
end

local flag = free and KEYS.wait and ARGV.releaser and redis.pcall('GET', KEYS.wait)
if type(flag) ~= 'string' then
  return ours and 1 or 0
end
local wake = string.sub(KEYS.wait, 1, -1 - #'wait') .. 'wake'
local first = KEYS.queue and redis.pcall('ZRANGE', KEYS.queue, 0, 0)[1] or string.match(flag, '^(.*)%.$')
if first then
  redis.pcall('PUBLISH', wake, first)
  redis.pcall('PUBLISH', wake .. ':' .. first, first)
  return ours and (first == ARGV.releaser and 1 or first) or 0
end
if flag == '*' or string.find(flag, ARGV.releaser .. '.', 1, true) == 1 then
  redis.pcall('PUBLISH', wake, '')
  return ours and 1 or 0
end
redis.pcall('PUBLISH', wake, flag)
return ours and flag or 0
