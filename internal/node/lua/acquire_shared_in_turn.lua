-- Makes this value a reader of the lock, as acquire_shared.lua does, unless a caller that is to be the
-- only holder comes first in the wait queue. So the readers before it are let in together. join.lua and
-- queue.lua come before this.
-- Replies  as acquire_shared.lua, with {last, the largest ticket; first, the ticket of the first in
--          the queue}.
local largest = ARGV.fencing == '1' and redis.call('GET', KEYS.fence) or '0'
local before = tonumber(head[2] or '0')
if held == ARGV.value then
  return {holder = held, left = redis.call('PTTL', KEYS.lock), last = last, first = before, largest = largest}
end
if held or not first or redis.call('EXISTS', KEYS.intent) == 1 then
  leaveFlag()
  return {holder = held or '', left = held and redis.call('PTTL', KEYS.lock) or CODE.free, last = last, first = before, largest = largest}
end
pass()
join()
local next = redis.call('ZRANGE', KEYS.queue, '0', '0')[1]
if next and next ~= me and string.find(next, '%-r$') then
  redis.pcall('PUBLISH', string.sub(KEYS.wait, 1, -1 - #'wait') .. 'wake:' .. next, next)
end
return {holder = '', left = CODE.joined, last = last, first = before, largest = largest}
