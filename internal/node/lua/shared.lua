-- Comes first in what a script does about a lock that this value holds with others, as a reader, or
-- is to hold.
-- The readers are a sorted set under the lock's own key: their values, by the time at which each
-- ends, in milliseconds of this server's clock. So whoever sets the key only if there is none is
-- kept out by readers, without knowing of them. The key lives until the last one ends. A reader that
-- has ended is none, though it may still be in the set. What is declared here:
--   held     this value if it is a reader, or the only holder; a value that is the only holder; or
--            false: others may read
--   alone    whether the key, if there is one, is not that of readers
--   soonest  the reader that ends first, and when, if this value is none
--   now      this server's clock
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local held = redis.pcall('ZSCORE', KEYS.lock, ARGV.value)
local alone, soonest = type(held) == 'table', nil -- the key is no sorted set
if alone then
  if not string.find(held.err, 'WRONGTYPE', 1, true) then -- a right is missing
    return held
  end
  held = redis.call('GETRANGE', KEYS.lock, '0', '512')
elseif held then
  held = tonumber(held) > now and ARGV.value
else
  soonest = redis.call('ZRANGE', KEYS.lock, '0', '0', 'WITHSCORES')
  if soonest[1] and string.sub(soonest[1], 1, 4) ~= 'rl1:' then
    return redis.error_reply('WRONGTYPE what is under the name of the lock is not a lock that readers hold')
  end
end
