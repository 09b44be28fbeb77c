-- Takes the lock: the meaning of SET key value NX GET PX ttl, for servers before Redis
-- 7.0, which refuse NX together with GET. held.lua comes before this.
-- Replies  nil if the key was free and is now set, else the value that holds it
-- The write comes last: a script that fails has written nothing.
if held then
  return held
end
redis.call('SET', KEYS.lock, ARGV.value, 'PX', ARGV.ttl)
return nil
