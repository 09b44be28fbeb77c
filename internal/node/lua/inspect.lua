-- Looks at the lock without touching it. It may leave the flag of a watcher, which wants to
-- be notified of the release. held.lua comes before this.
-- KEYS.wait is the waiter flag; KEYS.queue and KEYS.lease are the wait queue: see
-- queue.lua.
-- ARGV.flagTTL is 0 for no flag. A flag that is there stays, and lives that long at least.
-- Replies  {holder, the value that holds it; left, its remaining time to live in
--          milliseconds; waiting, how many callers wait for it in the queue}. If it is
--          free, left is CODE.free and the holder empty.
local left = redis.call('PTTL', KEYS.lock)
if ARGV.flagTTL ~= '0' then
  if not redis.pcall('SET', KEYS.wait, '*', 'NX', 'PX', ARGV.flagTTL) then
    local kept = redis.pcall('PTTL', KEYS.wait)
    if type(kept) == 'number' and kept >= 0 and kept < tonumber(ARGV.flagTTL) then
      redis.pcall('PEXPIRE', KEYS.wait, ARGV.flagTTL)
    end
  end
end
local waiting, queue = 0, redis.pcall('ZRANGE', KEYS.queue, 0, -1)
if #queue > 0 then
  local time = redis.call('TIME')
  local now = time[1] * 1000 + math.floor(time[2] / 1000)
  for _, waiter in ipairs(queue) do
    local kept, count = string.match(redis.call('HGET', KEYS.lease, waiter) or '', '^(%d+) (%d+)$')
    if kept and tonumber(kept) > now then
      waiting = waiting + tonumber(count)
    end
  end
end
return {holder = held or '', left = left, waiting = waiting}
