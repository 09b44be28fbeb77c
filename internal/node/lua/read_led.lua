-- Reads a published value, and which value holds the lock of its writer. held.lua and
-- record.lua come before this. It may leave the flag of a watcher, as inspect.lua does.
-- ARGV.flagTTL is 0 for no flag.
-- Replies  {holder, left, of the lock, as in inspect.lua; record, lives, text, micros, as in
--          read.lua, where lives is called left}
local left = redis.call('PTTL', KEYS.lock)
if ARGV.flagTTL ~= '0' then
  if not redis.pcall('SET', KEYS.wait, '*', 'NX', 'PX', ARGV.flagTTL) then
    local kept = redis.pcall('PTTL', KEYS.wait)
    if type(kept) == 'number' and kept >= 0 and kept < tonumber(ARGV.flagTTL) then
      redis.pcall('PEXPIRE', KEYS.wait, ARGV.flagTTL)
    end
  end
end
local lives, text = rest()
local time = redis.call('TIME')
return {holder = held or '', left = left, record = here, lives = lives, text = text, micros = time[1] * 1000000 + time[2]}
