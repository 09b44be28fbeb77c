-- Acquires in turn: takes the lock if it is free and no other waiter is before this one in
-- the wait queue. If not, it says why, takes a position in the queue, and leaves the waiter
-- flag. queue.lua comes before this, and says what KEYS and ARGV are.
-- Replies  the largest ticket that was seen if the key was free and is now set;
--          else {holder, the value that holds it; left, how long it still lives; last, the
--          largest ticket; first, the ticket of the first in the queue}. If the lock is
--          free and other waiters come first, left is CODE.free and the holder empty.
--          If the holder is the value of this attempt, nothing changes, and first is 0: the
--          attempt came here before, perhaps under another name of this server.
if held or not first then
  if held ~= ARGV.value then
    leaveFlag()
  end
  return {holder = held or '', left = redis.call('PTTL', KEYS.lock), last = last, first = tonumber(head[2] or '0'), largest = largest, micros = micros}
end
if refusal then
  return {holder = '', left = refusal, last = last, first = tonumber(head[2] or '0'), largest = largest, micros = micros}
end
pass()
if remember then
  remember()
end
redis.call('SET', KEYS.lock, ARGV.value, 'PX', ARGV.ttl) -- last: a script that fails has not set it
return granted and {last, granted} or last
