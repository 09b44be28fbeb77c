-- Comes after any_free.lua, and before acquire_any.lua and acquire_any_in_turn.lua: take() takes the slot.
local function take()
  local KEYS = lock(slot)
  if one.remember then
    one.remember()
  end
  redis.call('SET', KEYS.lock, ARGV.value, 'PX', ARGV.ttl) -- last: a script that fails has not set it
end
