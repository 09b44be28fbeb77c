-- Comes after shared.lua: join() makes this value a reader, until ARGV.ttl from now.
local function join()
  redis.call('ZADD', KEYS.lock, string.format('%.0f', now + ARGV.ttl), ARGV.value)
  redis.call('PEXPIREAT', KEYS.lock, string.format('%.0f', tonumber(redis.call('ZRANGE', KEYS.lock, '-1', '-1', 'WITHSCORES')[2])))
end
