-- Prolongs the lock where this value still holds it. It never sets a key that is gone: a
-- repeated extension would then read as one that found the key. held.lua comes before this.
-- Replies  1 if prolonged, 0 if the key is gone, else the value that holds it
if not held then
  return 0
end
if held ~= ARGV.value then
  return held
end
redis.call('PEXPIRE', KEYS.lock, ARGV.ttl)
return 1
