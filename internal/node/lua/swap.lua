-- Puts another value in the place of the one that holds the key, for a lock that is handed
-- over: who has the old value has nothing from then on. held.lua comes before this.
-- KEYS[lock]  the lock's key
-- ARGV[1]     the new value
-- ARGV[2]     new time to live in milliseconds, counted from now
-- ARGV[3]     the old value
-- Replies     1 if the new value holds the key, since now or an earlier send of this; 0 if
--             the key is gone, else the value that holds it
if not held then
  return 0
end
if held ~= ARGV[1] and held ~= ARGV[3] then
  return held
end
redis.call('SET', KEYS[lock], ARGV[1], 'PX', ARGV[2])
return 1
