-- Replaces the value that holds several locks, or none: see swap.lua. all_held.lua comes before
-- this.
-- Replies  1 if the new value holds all of them, 0 if a key is gone, else the value that holds
--          one of them
local denied = denial(ARGV.former)
if denied then
  return denied
end
for i = 1, #keys do
  local KEYS = lock(i)
  redis.call('SET', KEYS.lock, ARGV.value, 'PX', ARGV.ttl)
end
return 1
