-- Prolongs the lock for a reader. A reader that has ended is not revived: another value may have been
-- the only holder since. Where this value is the only holder it becomes a reader, the first one, and
-- waiters are notified. join.lua comes before this.
-- KEYS.wait is the waiter flag, and KEYS.intent what keeps new readers out. They are not given for
-- a lock that is to expire.
-- Replies  1 if the value is a reader, until ARGV.ttl from now; 0 if it has ended, else the value
--          that holds the lock alone
if held ~= ARGV.value then
  return held or 0
end
-- A server without memory refuses ZADD, unless the script has begun to write. A lock is prolonged there,
-- and so is a reader. What this removes are readers that have ended; of the only holder it removes nothing.
redis.pcall('ZREMRANGEBYSCORE', KEYS.lock, '-inf', now)
if alone then
  -- Whoever lacks the right to ZADD must not delete the key, and learns it from this, which cannot
  -- succeed: the key is no sorted set.
  local refusal = redis.pcall('ZADD', KEYS.lock, '0', ARGV.value)
  if not string.find(refusal.err, 'WRONGTYPE', 1, true) then
    return refusal
  end
  redis.call('DEL', KEYS.lock)
  if KEYS.intent then
    redis.pcall('DEL', KEYS.intent)
  end
end
join()
local flag = alone and KEYS.wait and redis.pcall('GET', KEYS.wait)
if type(flag) == 'string' then
  local wake = string.sub(KEYS.wait, 1, -1 - #'wait') .. 'wake'
  local first = string.match(flag, '^(.*)%.$')
  redis.pcall('PUBLISH', wake, first or '')
  if first then
    redis.pcall('PUBLISH', wake .. ':' .. first, first)
  end
end
return 1
