-- Takes the lock: the meaning of SET key value NX GET PX ttl, for servers
-- before Redis 7.0, which refuse NX together with GET.
-- KEYS[1]  the lock's key
-- ARGV[1]  the value of this attempt
-- ARGV[2]  time to live in milliseconds
-- Replies  nil if the key was free and is now set, else the value that holds it
-- The write comes last: a script that fails has written nothing.
local held = redis.call('GET', KEYS[1])
if held then
  return held
end
redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
return nil
