-- Releases the lock where release.lua is refused: no waiter is notified, and the waiters
-- retry on their own. It is the text of the Redis page "Distributed Locks with Redis".
-- Replies  0 if the key is gone or holds another value, 1 if deleted
if redis.call("get",KEYS.lock) == ARGV.value then
    return redis.call("del",KEYS.lock)
else
    return 0
end
