-- Comes before release.lua in place of drop.lua, for a reader. The key lives on for the others.
local function drop()
  if alone and held ~= ARGV.value then
    return false
  end
  if alone then
    redis.call('DEL', KEYS.lock)
    return true
  end
  redis.call('ZREM', KEYS.lock, ARGV.value)
  local last = redis.call('ZRANGE', KEYS.lock, '-1', '-1', 'WITHSCORES')[2]
  if last and tonumber(last) > now then
    redis.call('PEXPIREAT', KEYS.lock, string.format('%.0f', tonumber(last)))
    return false
  end
  if last then -- those that are left have ended
    redis.call('DEL', KEYS.lock)
  end
  return true
end
