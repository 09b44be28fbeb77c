-- Comes before release.lua: drop() gives the lock up if this value holds it, and returns whether it
-- is free then.
local function drop()
  if held == ARGV.value then
    redis.call('DEL', KEYS.lock)
    return true
  end
  return not held
end
