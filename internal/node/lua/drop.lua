-- Comes before release.lua: drop() gives the lock up if this value holds it, and returns whether it
-- is free then.
-- KEYS.intent is given if the lock was waited for behind readers, and was granted: they come next. An
-- attempt that is rolled back leaves it, or one reader could slip in at each attempt.
local function drop()
  if held == ARGV.value then
    redis.call('DEL', KEYS.lock)
    if KEYS.intent then
      redis.pcall('DEL', KEYS.intent)
    end
    return true
  end
  return not held
end
