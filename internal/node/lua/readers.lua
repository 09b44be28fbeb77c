-- Comes before scripts that look at locks which readers may hold: see shared.lua. readers(KEYS) says
-- of a key that is no text who holds it: "rs1:", how many readers, ":", and the value of the one that
-- ends last. It is false if all have ended, and nil if the key has other data.
local function readers(KEYS)
  local last = redis.pcall('ZREVRANGE', KEYS.lock, '0', '0', 'WITHSCORES')
  if string.sub(last[1] or '', 1, 4) ~= 'rl1:' then
    return nil
  end
  local time = redis.call('TIME')
  local now = time[1] * 1000 + math.floor(time[2] / 1000)
  return tonumber(last[2]) > now and string.format('rs1:%d:%s', redis.call('ZCOUNT', KEYS.lock, '(' .. now, '+inf'), last[1])
end
