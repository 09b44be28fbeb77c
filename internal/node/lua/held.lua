-- Comes first in what a script does about one lock: held is the value that holds it, or false, or
-- what readers.lua, which comes before this, says of readers.
-- It moves no more than a lock's value may have, and one byte: data may have the lock's
-- name, and be large (see longestValue). It moves all of the value for a user without the
-- right to GETRANGE.
local held = redis.pcall('GETRANGE', KEYS.lock, '0', '512')
if held == '' or type(held) ~= 'string' then -- the key may be empty, free, or no text at all
  held = redis.pcall('GET', KEYS.lock)
  if type(held) == 'table' then
    held = readers(KEYS)
    if held == nil then
      redis.call('GET', KEYS.lock) -- this raises the error that it was
    end
  end
end
