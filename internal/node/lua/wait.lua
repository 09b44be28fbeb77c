-- Takes the lock if it is free. If not, says until when it is held and leaves a
-- mark that somebody waits, so that its release is published.
-- KEYS[1]  the lock's key
-- ARGV[1]  the value of this attempt
-- ARGV[2]  time to live in milliseconds
-- ARGV[3]  the name of the mark; not given, nor the others, if none is to be left
-- ARGV[4]  who waits
-- ARGV[5]  how long the mark lives, in milliseconds
-- For a fencing token there is more: see fence.lua, which comes before this.
-- Replies  nil if the key was free and is now set, else {the value that holds
--          it, how long it still lives in milliseconds}
-- The mark is no KEY, and may fail: it is a hint, and an ACL user who may lock
-- may not be allowed to set it.
local held = redis.call('GET', KEYS[1])
if held and held ~= ARGV[1] and given > 2 then
  local left = redis.pcall('PTTL', ARGV[3]) -- others may want to be told for longer
  redis.pcall('SET', ARGV[3], ARGV[4], 'PX', type(left) == 'number' and math.max(left, ARGV[5]) or ARGV[5])
end
if held or refusal then
  return {held or '', held and redis.call('PTTL', KEYS[1]) or refusal, newest, micros}
end
if remember then
  redis.call(unpack(remember))
end
redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2]) -- last: a script that fails has not set it
return granted
