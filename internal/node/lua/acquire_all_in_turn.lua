-- Acquires several locks in turn, or none: it takes them if each is free, and no other waiter is
-- before this one in the wait queue of any, or if each has this value already. If not, it says
-- why, has a position in every queue, and leaves the waiter flag where others have the lock or
-- come first. all_free.lua comes before this. KEYS and ARGV are those of queue.lua.
-- Replies  as acquire_all.lua, with {last, the largest ticket that was seen in any of the queues;
--          first, the smallest ticket of those that are the first in one, 0 if there is none}.
--          If the locks that are taken are none, and other waiters come first, left is CODE.free,
--          the holder empty, and index says where. If the locks have the value now it replies
--          {the largest ticket, what fence.lua says}, or the largest ticket alone.
if taken or queued or denied then
  local smallest = 0
  for _, one in ipairs(looks) do
    local ticket = tonumber(one.head[2] or '0')
    if ticket > 0 and (smallest == 0 or ticket < smallest) then
      smallest = ticket
    end
    if one.waits or one.held and one.held ~= ARGV.value then
      one.leaveFlag()
    end
  end
  if not taken then
    taken, holder, left = queued or denied, '', queued and CODE.free or looks[denied].refusal
  end
  return {holder = holder, left = left, index = taken, others = others, last = last, first = smallest, largest = largest, micros = micros}
end
take()
return granted and {last, granted} or last
