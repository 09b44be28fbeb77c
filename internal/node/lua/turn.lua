-- Takes the lock if it is free and nobody stands before us in the line of those
-- who wait. If not, says why, takes a place in the line, and leaves a mark that
-- somebody waits. held.lua comes before this.
-- KEYS[lock]   the lock's key
-- KEYS[wait]   the mark, "{key}:wait": the name of the first in line, and a dot
-- KEYS[queue]  the line, "{key}:queue": a sorted set of names by tickets
-- KEYS[lease]  "{key}:lease", a hash with a field for each name, "until when it counts,
--          in milliseconds of this server's clock, and how many wait under it", and the
--          largest ticket that was seen, "last"
-- ARGV[1]  the value of this attempt
-- ARGV[2]  time to live in milliseconds
-- ARGV[3]  the name of who asks: that of a Locker, for the first of its callers
-- ARGV[4]  how long the mark lives in milliseconds, 0 for no mark
-- ARGV[5]  the ticket of that caller, 0 if it has none: it takes no place, and the
--          place of its own Locker comes first, too
-- ARGV[6]  the ticket of the caller behind it, 0 if there is none
-- ARGV[7]  the largest ticket of all its callers
-- ARGV[8]  how long the place is kept without being asked for again
-- ARGV[9]  how many callers it has
-- For a fencing token there is more: see fence.lua, which comes before this.
-- Replies  the largest ticket that was seen if the key was free and is now set;
--          else {the value that holds it, how long it still lives in milliseconds,
--          the largest ticket, the ticket of the first in line}. If it is free,
--          and others come first, the time is -2 and the value empty. If the value is
--          that of this attempt already, nothing changes, and the ticket is 0: it came here
--          before, and maybe under another name of this server.
local me = ARGV[3]
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)

local last = tonumber(redis.call('HGET', KEYS[lease], 'last') or '0')
if tonumber(ARGV[7]) > last then
  last = tonumber(ARGV[7])
  if held ~= ARGV[1] then -- what is written below gives it an end
    redis.call('HSET', KEYS[lease], 'last', ARGV[7])
  end
end
if held == ARGV[1] then
  return {held, redis.call('PTTL', KEYS[lock]), last, 0, newest, micros}
end
granted = granted and {last, granted} or last
if ARGV[5] ~= '0' then
  redis.call('ZADD', KEYS[queue], ARGV[5], me)
  redis.call('HSET', KEYS[lease], me, string.format('%.0f %s', now + ARGV[8], ARGV[9]))
end
if redis.call('PTTL', KEYS[queue]) < 2 * ARGV[8] then -- others may have longer leases
  redis.call('PEXPIRE', KEYS[queue], 2 * ARGV[8])
end
if redis.call('PTTL', KEYS[lease]) < 2 * ARGV[8] then
  redis.call('PEXPIRE', KEYS[lease], 2 * ARGV[8])
end

local mine = ARGV[5] ~= '0' and me
local first = redis.call('ZRANGE', KEYS[queue], 0, 0, 'WITHSCORES')
while first[1] and first[1] ~= mine do
  local kept = redis.call('HGET', KEYS[lease], first[1])
  if kept and tonumber(string.match(kept, '^%d+')) > now then
    break
  end
  redis.call('ZREM', KEYS[queue], first[1])
  redis.call('HDEL', KEYS[lease], first[1])
  first = redis.call('ZRANGE', KEYS[queue], 0, 0, 'WITHSCORES')
end

local function leaveMark()
  if ARGV[4] ~= '0' then
    redis.call('SET', KEYS[wait], (first[1] or me) .. '.', 'PX', math.max(redis.call('PTTL', KEYS[wait]), ARGV[4])) -- others may want to be told for longer
  end
end

if held or (first[1] and first[1] ~= mine) then
  leaveMark()
  return {held or '', redis.call('PTTL', KEYS[lock]), last, tonumber(first[2] or '0'), newest, micros}
end
if refusal then
  return {'', refusal, last, tonumber(first[2] or '0'), newest, micros}
end
if mine and ARGV[6] ~= '0' then
  redis.call('ZADD', KEYS[queue], ARGV[6], me)
  redis.call('HSET', KEYS[lease], me, string.format('%.0f %d', now + ARGV[8], ARGV[9] - 1))
  leaveMark()
elseif mine then
  redis.call('ZREM', KEYS[queue], me)
end
if remember then
  remember()
end
redis.call('SET', KEYS[lock], ARGV[1], 'PX', ARGV[2]) -- last: a script that fails has not set it
return granted
