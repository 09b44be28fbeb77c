-- Comes first in what a script does about a published value: what KEYS.value begins with.
-- KEYS.value is "{key}:value", or "{key}:leader" of an election: four numbers of 16 digits, and the
-- text. The first three are the version: they are below 2^53, and compared as they are written. The
-- key outlives the text by the fourth, in milliseconds: whoever reads it then learns that there was
-- one.
-- The text, which may be long, is not moved before it is asked for.
local here = redis.call('GETRANGE', KEYS.value, '0', '63')
if #here % 64 ~= 0 or not string.find(here, '^%d*$') then
  return redis.error_reply('WRONGTYPE what is under a name that ends with :value or :leader is no published value')
end
local function rest() -- how long the key lives, as PTTL says it, and the text unless that has expired
  local left = redis.call('PTTL', KEYS.value)
  if here == '' or left >= 0 and left <= tonumber(string.sub(here, 49)) then
    return left, ''
  end
  return left, redis.call('GETRANGE', KEYS.value, '64', '-1')
end
