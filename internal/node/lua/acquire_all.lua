-- Takes several locks, or none: it takes them if each is free, or has this value already.
-- all_free.lua and flag.lua come before this. If some are taken the reply says which, and the waiter flag is
-- left at each of them, so that its release is published.
-- KEYS and ARGV are those of acquire_or_flag.lua.
-- Replies  nil, or what fence.lua says, if all locks have the value now, and one had not
--          before. Else {holder, the value that holds one of them; left, in milliseconds, how
--          long until all that are taken have expired, negative if never, or CODE.tooSmall,
--          CODE.tooLarge; index, which lock that is, counted from 1; others, see all_free.lua}.
--          The holder is this value if all locks have had it before.
if taken then
  for i = 1, #keys do
    local KEYS = lock(i)
    if KEYS.wait and looks[i].held and looks[i].held ~= ARGV.value then
      leaveFlag(KEYS)
      if KEYS.intent and string.sub(looks[i].held, 1, 4) == 'rs1:' then
        redis.pcall('SET', KEYS.intent, ARGV.waiter, 'PX', ARGV.flagTTL)
      end
    end
  end
  return {holder = holder, left = left, index = taken, others = others, largest = largest, micros = micros}
end
if denied then
  return {holder = '', left = looks[denied].refusal, index = denied, others = others, largest = largest, micros = micros}
end
take()
return granted
