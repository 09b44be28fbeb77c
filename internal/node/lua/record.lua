-- Comes first in what a script does about a published value: what KEYS.value holds.
-- KEYS.value is "{key}:value", or "{key}:leader" of an election: "term seq writer extra", a blank,
-- and the text. The first three are the version: numbers below 2^53, compared in this order. The
-- key outlives the text by the extra milliseconds: whoever reads it then learns that there was
-- one.
-- The text, which may be long, is not moved before it is asked for.
local header = redis.call('GETRANGE', KEYS.value, '0', '80')
local term, seq, writer, extra, start = 0, 0, 0, 0, 0
if header ~= '' then
  local _, last, a, b, c, d = string.find(header, '^(%d+) (%d+) (%d+) (%d+) ')
  if not last then
    return redis.error_reply('WRONGTYPE what is under a name that ends with :value or :leader is no published value')
  end
  term, seq, writer, extra, start = tonumber(a), tonumber(b), tonumber(c), tonumber(d), last
end
local function lives() -- for how long the text still does: negative if for ever, 0 if it has expired
  local left = redis.call('PTTL', KEYS.value)
  return left == -1 and -1 or math.max(left - extra, 0)
end
