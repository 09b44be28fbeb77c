-- Comes after any.lua: if this value holds none of the locks, slot is the first that is free, from
-- ARGV.first on, counted from 0. That is the same on all nodes, so that they choose the same one. If
-- none is free, held is a value that holds one of them. What is declared here:
--   left  how long until the first of them expires if none is free, in milliseconds, negative if that is never
--   one   what the function each says of the slot: see no_token.lua and token.lua
local left
local at = tonumber(ARGV.first)
for _ = 1, slot and 0 or #keys do
  at = at % #keys + 1
  if not values[at] then
    local KEYS = lock(at)
    if redis.call('PTTL', KEYS.lock) == CODE.free then
      slot = at
      break
    end
    values[at] = ''
  end
end
if not slot then
  held = string.sub(values[1], 1, 512) -- data may be large, and counts as taken: see held.lua
end
if held then
  left = -1
  for i = 1, #keys do
    local KEYS = lock(i)
    local lives = redis.call('PTTL', KEYS.lock)
    if lives >= 0 and (left < 0 or lives < left) then
      left = lives
    end
  end
end
local one = each(lock(slot or 1))
