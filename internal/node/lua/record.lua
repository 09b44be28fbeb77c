-- Comes first in what a script does about a published value: what KEYS.value holds.
-- KEYS.value is "{key}:value", or "{key}:leader" of an election: "term seq writer end", a blank, and the text. The first three
-- are the version: numbers below 2^53, compared in this order. The end is when the text
-- expires, in milliseconds of this server's clock, or 0 if it never does. The key outlives the
-- text: whoever reads it then learns that there was one.
local record = redis.call('GET', KEYS.value)
local term, seq, writer, ends, text = 0, 0, 0, 0, ''
if record then
  local _, header, a, b, c, d = string.find(record, '^(%d+) (%d+) (%d+) (%d+) ')
  if not header then
    return redis.error_reply('WRONGTYPE what is under a name that ends with :value or :leader is no published value')
  end
  term, seq, writer, ends, text = tonumber(a), tonumber(b), tonumber(c), tonumber(d), string.sub(record, header + 1)
end
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local remains = ends == 0 and -1 or math.max(ends - now, 0)
if remains == 0 then
  text = ''
end
