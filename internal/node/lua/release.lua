-- Deletes the key if, and only if, this value holds it, and tells those who wait
-- for it, if there are any.
-- KEYS[1]  the lock's key
-- ARGV[1]  the value of the acquisition
-- ARGV[2]  the name of the mark that somebody waits, "{key}:wait"; without it
--          nobody is told, with it they are on channel "{key}:wake", and those who
--          stand in line on one of their own, "{key}:wake:" and their name
-- ARGV[3]  who releases; those who leave marks are called that, a dot and a number
-- ARGV[4]  the ticket of the acquisition, if it stood in line (see turn.lua): it
--          leaves the line
-- ARGV[5]  'back' if it goes back to its place instead, since it was not granted
--          by enough nodes; then nobody is told
-- Replies  0 if the key is gone or holds another value, 1 if deleted, else who is
--          the first in line, or who left the mark last, if that was not ARGV[3]
-- The message says the same: the first in line, ARGV[3] itself included, or else
-- who left the mark, and nothing if it was ARGV[3], or somebody who only watches
-- (inspect.lua). A mark that ends with the dot is that of somebody in line (turn.lua):
-- it is he who comes next if this server has lost the line. Telling is a hint: an ACL
-- user who may lock may not be allowed to read the mark or to publish.
local held = redis.call('GET', KEYS[1])
local ours = held == ARGV[1]
if ours then
  redis.call('DEL', KEYS[1])
elseif not ARGV[4] then
  return 0
end

local base = ARGV[2] and string.sub(ARGV[2], 1, -5)
if ARGV[5] == 'back' then
  -- Unless the place was given up since: then it has no lease any more.
  local left = redis.call('PTTL', base .. 'lease')
  if ours and left > 0 and redis.call('HEXISTS', base .. 'lease', ARGV[3]) == 1 then
    redis.call('ZADD', base .. 'queue', ARGV[4], ARGV[3])
    redis.call('PEXPIRE', base .. 'queue', left)
  end
  return ours and 1 or 0
end
if ARGV[4] then
  local place = redis.call('ZSCORE', base .. 'queue', ARGV[3])
  if not place or tonumber(place) <= tonumber(ARGV[4]) then
    redis.call('ZREM', base .. 'queue', ARGV[3])
    redis.call('HDEL', base .. 'lease', ARGV[3])
  end
  if held and not ours then
    return 0 -- and the leases stay: who has the lock may yet go back into the line
  end
  if redis.call('EXISTS', base .. 'queue') == 0 then
    redis.call('DEL', base .. 'lease')
  end
end

local waits = ARGV[2] and redis.pcall('GET', ARGV[2])
if type(waits) ~= 'string' then
  return ours and 1 or 0
end
local first = redis.pcall('ZRANGE', base .. 'queue', 0, 0)[1] or string.match(waits, '^(.*)%.$')
if first then
  redis.pcall('PUBLISH', base .. 'wake', first)
  redis.pcall('PUBLISH', base .. 'wake:' .. first, first)
  return ours and (first == ARGV[3] and 1 or first) or 0
end
if waits == '*' or string.sub(waits, 1, #ARGV[3] + 1) == ARGV[3] .. '.' then
  redis.pcall('PUBLISH', base .. 'wake', '')
  return ours and 1 or 0
end
redis.pcall('PUBLISH', base .. 'wake', waits)
return ours and waits or 0
