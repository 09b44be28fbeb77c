-- Reads a published value. record.lua comes before this.
-- ARGV.text is 0 if only its version is asked for.
-- Replies  {record, what it begins with, empty if nothing is known of a value; left, how long its
--          key lives, as PTTL says it, 0 if only the version was asked for; text, empty if it has
--          expired; micros, this server's time}
local left, text, time = 0, '', redis.call('TIME')
if ARGV.text ~= '0' then
  left, text = rest()
end
return {record = here, left = left, text = text, micros = time[1] * 1000000 + time[2]}
