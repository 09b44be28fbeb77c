-- Comes first in the release by a reader. Mostly it is the only one, and no caller waits: that takes
-- fewer steps. The key lives until its last reader ends, so one that is the only one there has not.
local two = redis.pcall('ZRANGE', KEYS.lock, '0', '1')
if two[1] == ARGV.value and not two[2] and not ARGV.ticket and (not KEYS.wait or redis.pcall('EXISTS', KEYS.wait) == 0) then
  redis.call('ZREM', KEYS.lock, ARGV.value)
  return 1
end
