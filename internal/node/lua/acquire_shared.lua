-- Makes this value a reader of the lock, unless another value is its only holder, or waits to be. If
-- it does not, it leaves the waiter flag, as acquire_or_flag.lua does. join.lua comes before this.
-- KEYS.intent is "{key}:intent": a caller that is to be the only holder, and found readers, leaves
-- it (flag.lua). As long as it is there, there are no new readers.
-- KEYS.fence holds the largest fencing token that was taken here: see fence.lua. It is asked for if
-- ARGV.fencing is 1.
-- KEYS.wait, ARGV.waiter and ARGV.flagTTL are not given if no flag is to be left.
-- Replies  {holder, the only one, or this value if it is a reader already; left, how long the key
--          still lives, CODE.free if others come first, or CODE.joined if the value is a reader
--          now, and was not before; largest, that token}. In the last two cases there is no holder.
-- A script that fails may have made the value a reader: see halfDone in proof.go.
local largest = ARGV.fencing == '1' and redis.call('GET', KEYS.fence) or '0'
if held then
  if held ~= ARGV.value and KEYS.wait then
    leaveFlag(KEYS)
  end
  return {holder = held, left = redis.call('PTTL', KEYS.lock), largest = largest}
end
if redis.call('EXISTS', KEYS.intent) == 1 then
  if KEYS.wait then
    leaveFlag(KEYS)
  end
  return {holder = '', left = CODE.free, largest = largest}
end
join()
return {holder = '', left = CODE.joined, largest = largest}
