-- Looks at the lock without touching it.
-- KEYS[1]  the lock's key
-- Replies  nil if it is free, else {value, remaining time to live in milliseconds}
local held = redis.call('GET', KEYS[1])
if not held then
  return nil
end
return {held, redis.call('PTTL', KEYS[1])}
