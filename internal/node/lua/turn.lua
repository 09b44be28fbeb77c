-- Takes the lock if it is free and nobody stands before us in the line of those
-- who wait. If not, says why, takes a place in the line, and leaves a mark that
-- somebody waits.
-- KEYS[1]  the lock's key
-- ARGV[1]  the value of this attempt
-- ARGV[2]  time to live in milliseconds
-- ARGV[3]  the name of the mark, "{key}:wait"; the line is in "{key}:queue", a
--          sorted set of names by tickets, and in "{key}:lease", a hash with a
--          field for each name, "until when it counts, in milliseconds of this
--          server's clock, and how many wait under it", and the largest ticket
--          that was seen, "last"
-- ARGV[4]  the name of who asks: that of a Locker, for the first of its callers
-- ARGV[5]  how long the mark lives in milliseconds, 0 for no mark
-- ARGV[6]  the ticket of that caller, 0 if it has none: it takes no place, and the
--          place of its own Locker comes first, too
-- ARGV[7]  the ticket of the caller behind it, 0 if there is none
-- ARGV[8]  the largest ticket of all its callers
-- ARGV[9]  how long the place is kept without being asked for again
-- ARGV[10] how many callers it has
-- For a fencing token there is more: see fence.lua, which comes before this.
-- Replies  the largest ticket that was seen if the key was free and is now set;
--          else {the value that holds it, how long it still lives in milliseconds,
--          the largest ticket, the ticket of the first in line}. If it is free,
--          and others come first, the time is -2 and the value empty.
local base = string.sub(ARGV[3], 1, -5)
local queue, lease, me = base .. 'queue', base .. 'lease', ARGV[4]
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)

local last = tonumber(redis.call('HGET', lease, 'last') or '0')
local held = redis.call('GET', KEYS[1])
if tonumber(ARGV[8]) > last then
  last = tonumber(ARGV[8])
  if held ~= ARGV[1] then -- what is written below gives it an end
    redis.call('HSET', lease, 'last', ARGV[8])
  end
end
granted = granted and {last, granted} or last
if held == ARGV[1] then
  return granted
end
if ARGV[6] ~= '0' then
  redis.call('ZADD', queue, ARGV[6], me)
  redis.call('HSET', lease, me, string.format('%.0f %s', now + ARGV[9], ARGV[10]))
end
for _, key in ipairs({queue, lease}) do -- others may have longer leases
  if redis.call('PTTL', key) < 2 * ARGV[9] then
    redis.call('PEXPIRE', key, 2 * ARGV[9])
  end
end

local function leaveMark()
  if ARGV[5] ~= '0' then
    redis.call('SET', ARGV[3], me .. '.', 'PX', math.max(redis.call('PTTL', ARGV[3]), ARGV[5])) -- others may want to be told for longer
  end
end

local mine = ARGV[6] ~= '0' and me
local first = redis.call('ZRANGE', queue, 0, 0, 'WITHSCORES')
while first[1] and first[1] ~= mine do
  local kept = redis.call('HGET', lease, first[1])
  if kept and tonumber(string.match(kept, '^%d+')) > now then
    break
  end
  redis.call('ZREM', queue, first[1])
  redis.call('HDEL', lease, first[1])
  first = redis.call('ZRANGE', queue, 0, 0, 'WITHSCORES')
end

if held or (first[1] and first[1] ~= mine) then
  leaveMark()
  return {held or '', redis.call('PTTL', KEYS[1]), last, tonumber(first[2] or '0'), newest, micros}
end
if refusal then
  return {'', refusal, last, tonumber(first[2] or '0'), newest, micros}
end
if mine and ARGV[7] ~= '0' then
  redis.call('ZADD', queue, ARGV[7], me)
  redis.call('HSET', lease, me, string.format('%.0f %d', now + ARGV[9], ARGV[10] - 1))
  leaveMark()
elseif mine then
  redis.call('ZREM', queue, me)
end
if remember then
  redis.call(unpack(remember))
end
redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2]) -- last: a script that fails has not set it
return granted
