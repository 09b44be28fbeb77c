-- Takes the lock if it is free. If not, says until when it is held and leaves a
-- mark that somebody waits, so that its release is published.
-- KEYS[1]  the lock's key
-- ARGV[1]  the value of this attempt
-- ARGV[2]  time to live in milliseconds
-- ARGV[3]  the name of the mark
-- ARGV[4]  who waits
-- ARGV[5]  how long the mark lives, in milliseconds
-- Replies  nil if the key was free and is now set, else {the value that holds
--          it, how long it still lives in milliseconds}
-- The mark is no KEY, and may fail: it is a hint, and an ACL user who may lock
-- may not be allowed to set it.
local held = redis.call('GET', KEYS[1])
if not held then
  redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
  return nil
end
if held ~= ARGV[1] then
  redis.pcall('SET', ARGV[3], ARGV[4], 'PX', ARGV[5])
end
return {held, redis.call('PTTL', KEYS[1])}
