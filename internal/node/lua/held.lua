-- What the scripts begin with that are about a lock: the value that holds it, or false.
-- No more of it is moved than a lock's value may have, and one byte: data may have the
-- lock's name, and be large (see longestValue). Servers of users without the right to
-- GETRANGE move all of it.
-- KEYS[lock]  the lock's key
-- The names in KEYS stand for numbers, the same every time that a script is sent: see
-- scripts.go. Some servers and proxies refuse any key that is not one of KEYS, literally.
local held = redis.pcall('GETRANGE', KEYS[lock], '0', '512')
if held == '' or type(held) ~= 'string' then -- it may be empty, free, or no text at all
  held = redis.call('GET', KEYS[lock])
end
