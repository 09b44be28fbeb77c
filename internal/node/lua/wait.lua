-- Takes the lock if it is free. If not, says until when it is held and leaves a
-- mark that somebody waits, so that its release is published. held.lua comes before this.
-- KEYS[lock]  the lock's key
-- KEYS[wait]  the mark, "{key}:wait"; not given if none is to be left
-- ARGV[1]     the value of this attempt
-- ARGV[2]     time to live in milliseconds
-- ARGV[3]     who waits, if a mark is to be left
-- ARGV[4]     how long the mark lives, in milliseconds
-- For a fencing token there is more: see fence.lua, which comes before this.
-- Replies  nil if the key was free and is now set, else {the value that holds
--          it, how long it still lives in milliseconds}
-- The mark may fail: it is a hint. (A user who may not use its key is refused the whole
-- script, and then waits without a mark.)
if held and held ~= ARGV[1] and KEYS[wait] then
  local left = redis.pcall('PTTL', KEYS[wait]) -- others may want to be told for longer
  redis.pcall('SET', KEYS[wait], ARGV[3], 'PX', type(left) == 'number' and math.max(left, ARGV[4]) or ARGV[4])
end
if held or refusal then
  return {held or '', held and redis.call('PTTL', KEYS[lock]) or refusal, newest, micros}
end
if remember then
  remember()
end
redis.call('SET', KEYS[lock], ARGV[1], 'PX', ARGV[2]) -- last: a script that fails has not set it
return granted
