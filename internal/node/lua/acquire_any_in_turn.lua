-- Takes one of several locks, as acquire_any.lua does, if no other waiter is before this one in the
-- wait queue of the semaphore. take_slot.lua and queue.lua come before this. The keys of the queue
-- are those of the semaphore.
-- Replies  as acquire_any.lua, with {last, the largest ticket; first, the ticket of the first in the
--          queue}. If one is free and other waiters come first, left is CODE.free.
local before = tonumber(head[2] or '0')
if held or not first or one.refusal then
  if held ~= ARGV.value then
    leaveFlag()
  end
  return {holder = held or '', left = left or first and one.refusal or CODE.free, index = slot or 1, last = last, first = before, largest = one.largest, micros = one.micros}
end
pass()
take()
local next = redis.call('ZRANGE', KEYS.queue, '0', '0')[1]
if next and next ~= me then -- another slot may be free
  redis.pcall('PUBLISH', string.sub(KEYS.wait, 1, -1 - #'wait') .. 'wake:' .. next, next)
end
return {holder = '', left = CODE.joined, index = slot, last = last, first = before, largest = one.largest, micros = one.granted}
