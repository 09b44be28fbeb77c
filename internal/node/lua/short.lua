-- Releases the lock where release.lua is refused: nobody is told, and who waits asks
-- again by itself. It is the text of the Redis page "Distributed Locks with Redis".
-- KEYS[lock]  the lock's key
-- ARGV[1]     the value of the acquisition
-- Replies     0 if the key is gone or holds another value, 1 if deleted
if redis.call("get",KEYS[lock]) == ARGV[1] then
    return redis.call("del",KEYS[lock])
else
    return 0
end
