-- Looks at the lock without touching it, and may leave a mark that somebody wants
-- to hear of its release. held.lua comes before this.
-- KEYS[lock]  the lock's key
-- KEYS[wait]  the mark, "{key}:wait"
-- KEYS[queue], KEYS[lease]  the line of those who wait; see turn.lua
-- ARGV[1]     how long the mark lives in milliseconds, 0 for none; one that is there
--             stays, for as long at least
-- Replies     {the value that holds it, its remaining time to live in milliseconds,
--             how many stand in line for it}. If it is free, the time is -2 and the
--             value empty.
local left = redis.call('PTTL', KEYS[lock])
if ARGV[1] ~= '0' then
  if not redis.pcall('SET', KEYS[wait], '*', 'NX', 'PX', ARGV[1]) then
    local kept = redis.pcall('PTTL', KEYS[wait])
    if type(kept) == 'number' and kept >= 0 and kept < tonumber(ARGV[1]) then
      redis.pcall('PEXPIRE', KEYS[wait], ARGV[1])
    end
  end
end
local waiting, line = 0, redis.pcall('ZRANGE', KEYS[queue], 0, -1)
if #line > 0 then
  local time = redis.call('TIME')
  local now = time[1] * 1000 + math.floor(time[2] / 1000)
  for _, name in ipairs(line) do
    local kept, count = string.match(redis.call('HGET', KEYS[lease], name) or '', '^(%d+) (%d+)$')
    if kept and tonumber(kept) > now then
      waiting = waiting + tonumber(count)
    end
  end
end
return {held or '', left, waiting}
