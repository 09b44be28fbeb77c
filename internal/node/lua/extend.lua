-- Prolongs the lock where it is still held by this value. It never sets a key
-- that is gone: a repeated extension would then read as one that found the key.
-- held.lua comes before this.
-- KEYS[lock]  the lock's key
-- ARGV[1]     the value of the acquisition
-- ARGV[2]     new time to live in milliseconds, counted from now
-- Replies     1 if prolonged, 0 if the key is gone, else the value that holds it
if not held then
  return 0
end
if held ~= ARGV[1] then
  return held
end
redis.call('PEXPIRE', KEYS[lock], ARGV[2])
return 1
