-- Takes one of several locks. If none is free it leaves the waiter flag of the semaphore.
-- take_slot.lua and flag.lua come before this. KEYS.wait is that of the semaphore, once for all slots.
-- ARGV.flagTTL is 0 if no flag is to be left.
-- Replies  {holder, this value if it has one of them already, a value that holds one if none is
--          free; left, see any_free.lua, CODE.tooSmall, CODE.tooLarge, or CODE.joined if the value
--          has one now, and had none before; index, which one that is}
if held or one.refusal then
  if held ~= ARGV.value and ARGV.flagTTL ~= '0' then
    leaveFlag(KEYS)
  end
  return {holder = held or '', left = left or one.refusal, index = slot or 1, largest = one.largest, micros = one.micros}
end
take()
return {holder = '', left = CODE.joined, index = slot, largest = one.largest, micros = one.granted}
