-- Takes the lock if it is free. If not, it says for how long, and leaves the waiter flag, so
-- that the release is published. held.lua comes before this, and fence.lua where there is a
-- fencing token.
-- KEYS.wait is the waiter flag, "{key}:wait". It is not given if none is to be left.
-- ARGV.waiter is the waiter id in the flag, ARGV.flagTTL how long the flag lives.
-- Replies  nil if the key was free and is now set, else {holder, the value that holds it;
--          left, how long it still lives in milliseconds}
-- The flag is a hint, and may fail. (A user without the right to its key is refused the
-- whole script, and then waits without a flag.)
if held and held ~= ARGV.value and KEYS.wait then
  local left = redis.pcall('PTTL', KEYS.wait) -- another waiter may need it for longer
  redis.pcall('SET', KEYS.wait, ARGV.waiter, 'PX', type(left) == 'number' and math.max(left, ARGV.flagTTL) or ARGV.flagTTL)
end
if held or refusal then
  return {holder = held or '', left = held and redis.call('PTTL', KEYS.lock) or refusal, largest = largest, micros = micros}
end
if remember then
  remember()
end
redis.call('SET', KEYS.lock, ARGV.value, 'PX', ARGV.ttl) -- last: a script that fails has not set it
return granted
