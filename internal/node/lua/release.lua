-- Deletes the key if, and only if, this value holds it, and tells those who wait
-- for it, if there are any. held.lua comes before this.
-- KEYS[lock]   the lock's key
-- KEYS[wait]   the mark that somebody waits, "{key}:wait"; without it nobody is told
-- KEYS[queue], KEYS[lease]  the line of those who wait (see turn.lua), if the lock was
--              taken with regard to it
-- ARGV[1]      the value of the acquisition
-- ARGV[2]      who releases; those who leave marks are called that, a dot and a number
-- ARGV[3]      the ticket of the acquisition, if it stood in line: it leaves the line
-- ARGV[4]      'back' if it goes back to its place instead, since it was not granted
--              by enough nodes; then nobody is told
-- Replies  0 if the key is gone or holds another value, 1 if deleted, else who is
--          the first in line, or who left the mark last, if that was not ARGV[2]
-- Those who wait are told on channel "{key}:wake", and those who stand in line on one of
-- their own, "{key}:wake:" and their name. (A channel is no key: it may be made of one.)
-- The message says the same as the reply: the first in line, ARGV[2] itself included, or
-- else who left the mark, and nothing if it was ARGV[2], or somebody who only watches
-- (inspect.lua). A mark that ends with the dot is that of the first in line (turn.lua):
-- it is he who comes next where this release does not look at the line, or this server
-- has lost it. Telling is a hint: an ACL user who may lock may not be allowed to publish.
local ours = held == ARGV[1]
if ours then
  redis.call('DEL', KEYS[lock])
elseif not ARGV[3] then
  return 0
end

if ARGV[4] == 'back' then
  -- Unless the place was given up since: then it has no lease any more.
  local left = redis.call('PTTL', KEYS[lease])
  if ours and left > 0 and redis.call('HEXISTS', KEYS[lease], ARGV[2]) == 1 then
    redis.call('ZADD', KEYS[queue], ARGV[3], ARGV[2])
    redis.call('PEXPIRE', KEYS[queue], left)
  end
  return ours and 1 or 0
end
if ARGV[3] then
  local place = redis.call('ZSCORE', KEYS[queue], ARGV[2])
  if not place or tonumber(place) <= tonumber(ARGV[3]) then
    redis.call('ZREM', KEYS[queue], ARGV[2])
    redis.call('HDEL', KEYS[lease], ARGV[2])
  end
  if held and not ours then
    return 0 -- and the leases stay: who has the lock may yet go back into the line
  end
  if redis.call('EXISTS', KEYS[queue]) == 0 then
    redis.call('DEL', KEYS[lease])
  end
end

local waits = KEYS[wait] and redis.pcall('GET', KEYS[wait])
if type(waits) ~= 'string' then
  return ours and 1 or 0
end
local wake = string.sub(KEYS[wait], 1, -5) .. 'wake'
local first = KEYS[queue] and redis.pcall('ZRANGE', KEYS[queue], 0, 0)[1] or string.match(waits, '^(.*)%.$')
if first then
  redis.pcall('PUBLISH', wake, first)
  redis.pcall('PUBLISH', wake .. ':' .. first, first)
  return ours and (first == ARGV[2] and 1 or first) or 0
end
if waits == '*' or string.sub(waits, 1, #ARGV[2] + 1) == ARGV[2] .. '.' then
  redis.pcall('PUBLISH', wake, '')
  return ours and 1 or 0
end
redis.pcall('PUBLISH', wake, waits)
return ours and waits or 0
