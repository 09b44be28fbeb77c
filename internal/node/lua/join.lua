-- Comes after shared.lua: join() makes this value a reader, until ARGV.ttl from now. Those that have
-- ended leave.
local function join()
  local ends = string.format('%.0f', now + ARGV.ttl)
  redis.call('ZADD', KEYS.lock, ends, ARGV.value) -- first, as far as a server without memory is concerned: see extend_shared.lua
  if soonest and soonest[2] and tonumber(soonest[2]) <= now then
    redis.call('ZREMRANGEBYSCORE', KEYS.lock, '-inf', now)
  end
  if not soonest or soonest[1] then -- there are others
    ends = string.format('%.0f', tonumber(redis.call('ZRANGE', KEYS.lock, '-1', '-1', 'WITHSCORES')[2]))
  end
  redis.call('PEXPIREAT', KEYS.lock, ends)
end
