-- Reads a published value. record.lua comes before this.
-- Replies  {record, what it begins with, empty if nothing is known of a value; left, how long its
--          key lives, as PTTL says it; text, empty if it has expired; micros, this server's time}
local time = redis.call('TIME')
local left, text = rest()
return {record = here, left = left, text = text, micros = time[1] * 1000000 + time[2]}
