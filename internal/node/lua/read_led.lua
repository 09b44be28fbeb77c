-- Reads a published value, and which value holds the lock of its writer. held.lua and
-- record.lua come before this. It may leave the flag of a watcher, as inspect.lua does.
-- ARGV.flagTTL is 0 for no flag.
-- Replies  {holder, left, of the lock, as in inspect.lua; term, seq, writer, remains, text,
--          micros, as in read.lua}
local left = redis.call('PTTL', KEYS.lock)
if ARGV.flagTTL ~= '0' then
  if not redis.pcall('SET', KEYS.wait, '*', 'NX', 'PX', ARGV.flagTTL) then
    local kept = redis.pcall('PTTL', KEYS.wait)
    if type(kept) == 'number' and kept >= 0 and kept < tonumber(ARGV.flagTTL) then
      redis.pcall('PEXPIRE', KEYS.wait, ARGV.flagTTL)
    end
  end
end
local remains, text, time = lives(), '', redis.call('TIME')
if remains ~= 0 then
  text = redis.call('GETRANGE', KEYS.value, start, '-1')
end
return {holder = held or '', left = left, term = term, seq = seq, writer = writer, remains = remains, text = text, micros = time[1] * 1000000 + time[2]}
