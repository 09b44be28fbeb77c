-- Comes before scripts that leave the waiter flag, which is a hint, and may fail. (A user without
-- the right to its key is refused the whole script, and then waits without a flag.)
local function leaveFlag(KEYS)
  local left = redis.pcall('PTTL', KEYS.wait) -- another waiter may need it for longer
  redis.pcall('SET', KEYS.wait, ARGV.waiter, 'PX', type(left) == 'number' and math.max(left, ARGV.flagTTL) or ARGV.flagTTL)
end
