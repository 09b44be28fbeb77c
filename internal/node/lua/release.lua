-- Deletes the key if, and only if, this value holds it.
-- KEYS[1]  the lock's key
-- ARGV[1]  the value of the acquisition
-- Replies  1 if deleted, 0 if the key is gone or holds another value
if redis.call('GET', KEYS[1]) == ARGV[1] then
  redis.call('DEL', KEYS[1])
  return 1
end
return 0
