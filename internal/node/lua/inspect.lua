-- Looks at the lock without touching it, and may leave a mark that somebody wants
-- to hear of its release.
-- KEYS[1]  the lock's key
-- ARGV[1]  the name of the mark, "{key}:wait"
-- ARGV[2]  how long it lives in milliseconds, 0 for none; one that is there
--          stays, for as long at least
-- Replies  {the value that holds it, its remaining time to live in milliseconds,
--          how many stand in line for it}. If it is free, the time is -2 and the
--          value empty.
local held = redis.call('GET', KEYS[1])
local left = redis.call('PTTL', KEYS[1])
if ARGV[2] ~= '0' then
  if not redis.pcall('SET', ARGV[1], '*', 'NX', 'PX', ARGV[2]) then
    local kept = redis.pcall('PTTL', ARGV[1])
    if type(kept) == 'number' and kept >= 0 and kept < tonumber(ARGV[2]) then
      redis.pcall('PEXPIRE', ARGV[1], ARGV[2])
    end
  end
end
local base = string.sub(ARGV[1], 1, -5)
local waiting, line = 0, redis.pcall('ZRANGE', base .. 'queue', 0, -1)
if #line > 0 then
  local time = redis.call('TIME')
  local now = time[1] * 1000 + math.floor(time[2] / 1000)
  for _, name in ipairs(line) do
    local kept, count = string.match(redis.call('HGET', base .. 'lease', name) or '', '^(%d+) (%d+)$')
    if kept and tonumber(kept) > now then
      waiting = waiting + tonumber(count)
    end
  end
end
return {held or '', left, waiting}
