-- Takes the lock if it is free. If not, it says for how long, and leaves the waiter flag, so
-- that the release is published. held.lua and flag.lua come before this, and fence.lua where there is a
-- fencing token.
-- KEYS.wait is the waiter flag, "{key}:wait". It is not given if none is to be left.
-- KEYS.intent is "{key}:intent", left where readers hold the lock: then there are no new ones until
-- it expires, or the lock was held and is released (drop.lua). It is given after an attempt that found readers.
-- ARGV.waiter is the waiter id in the flag, ARGV.flagTTL how long the flag lives.
-- Replies  nil if the key was free and is now set, else {holder, the value that holds it;
--          left, how long it still lives in milliseconds}
if held and held ~= ARGV.value and KEYS.wait then
  leaveFlag(KEYS)
  if KEYS.intent and string.sub(held, 1, 4) == 'rs1:' then
    redis.pcall('SET', KEYS.intent, ARGV.waiter, 'PX', ARGV.flagTTL)
  end
end
if held or refusal then
  return {holder = held or '', left = held and redis.call('PTTL', KEYS.lock) or refusal, largest = largest, micros = micros}
end
if remember then
  remember()
end
redis.call('SET', KEYS.lock, ARGV.value, 'PX', ARGV.ttl) -- last: a script that fails has not set it
return granted
