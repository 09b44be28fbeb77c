-- Replaces the value that holds the key, for a lock that is handed over: the former value
-- holds nothing from then on. held.lua comes before this.
-- ARGV.value is the new value, ARGV.former the one that it replaces.
-- Replies  1 if the new value holds the key, since now or since an earlier send of this; 0
--          if the key is gone, else the value that holds it
if not held then
  return 0
end
if held ~= ARGV.value and held ~= ARGV.former then
  return held
end
redis.call('SET', KEYS.lock, ARGV.value, 'PX', ARGV.ttl)
return 1
