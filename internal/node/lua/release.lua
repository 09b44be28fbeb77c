-- Deletes the key if, and only if, this value holds it, and tells those who wait
-- for it, if there are any.
-- KEYS[1]  the lock's key
-- ARGV[1]  the value of the acquisition
-- ARGV[2]  the name of the mark that somebody waits, "{key}:wait"; without it
--          nobody is told, with it they are on channel "{key}:wake"
-- ARGV[3]  who releases; those who leave marks are called that, a dot and a number
-- Replies  0 if the key is gone or holds another value, 1 if deleted, else who left
--          the mark last, if that was not ARGV[3]
-- The message says the same, and nothing if it was ARGV[3]. Telling is a hint: an
-- ACL user who may lock may not be allowed to read the mark or to publish.
if redis.call('GET', KEYS[1]) ~= ARGV[1] then
  return 0
end
redis.call('DEL', KEYS[1])
if not ARGV[2] then
  return 1
end
local waits = redis.pcall('GET', ARGV[2])
if type(waits) ~= 'string' then
  return 1
end
local channel = string.sub(ARGV[2], 1, -5) .. 'wake'
if string.sub(waits, 1, #ARGV[3] + 1) == ARGV[3] .. '.' then
  redis.pcall('PUBLISH', channel, '')
  return 1
end
redis.pcall('PUBLISH', channel, waits)
return waits
