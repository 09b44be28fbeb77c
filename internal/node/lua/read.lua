-- Reads a published value. record.lua comes before this.
-- ARGV.text is 0 if the text is not asked for.
-- Replies  {term, seq, writer, the version, all 0 if nothing is known of a value; remains, how
--          long the text still lives in milliseconds, negative if for ever, 0 if it has
--          expired; text; micros, this server's time}
local remains, text, time = lives(), '', redis.call('TIME')
if ARGV.text ~= '0' and remains ~= 0 then
  text = redis.call('GETRANGE', KEYS.value, start, '-1')
end
return {term = term, seq = seq, writer = writer, remains = remains, text = text, micros = time[1] * 1000000 + time[2]}
