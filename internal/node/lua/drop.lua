-- Comes before release.lua: drop() gives the lock up, and returns whether it is free then.
local function drop()
  redis.call('DEL', KEYS.lock)
  return true
end
