-- Comes before acquire_or_flag.lua, queue.lua and look.lua in their fenced variants. It decides whether
-- the lock may be taken with this fencing token. A token is taken with the lock or not at
-- all, and only if it is larger than the largest one here. Then any two tokens that
-- majorities took differ, and are in the order of the acquisitions (docs/guarantees.md,
-- "Fencing tokens").
--
-- The line before this declares what is found out here: largest, micros, granted, refusal,
-- remember. It is there without a token, too.
-- KEYS.fence holds the largest token that was taken here, as it was sent: Lua would write a
-- number of that size as 1.78e+15.
-- ARGV.token is about this server's time in microseconds, below 2^53. ARGV.tokenTTL is how
-- long the token is remembered, from now on or from the time that it stands for, whichever
-- is later. ARGV.retake is given if the lock is held with this token already and was lost
-- here: then nothing is handed out, and the token need not be larger.
--
-- Replies  are those of the script, and at their end {largest, the largest token that was
--          taken before; micros, this server's time}. If the key was free and is now set,
--          the reply has the time only, or noNews if the token is within a tenth of a
--          second of it: a small number costs clients no memory. If the key is free and
--          the token not taken, the holder is empty and the remaining time says why:
--          tooSmall: it is not larger than that token, or stands for a time so long ago that
--                    larger ones may have been forgotten since;
--          tooLarge: it is more than a day ahead of this server, and of that token. So no
--                    single mistake uses up all numbers.
local sent = ARGV.token
local clock = redis.call('TIME')
micros = clock[1] * 1000000 + clock[2]
largest = redis.call('GET', KEYS.fence) or '0'
local token, known = tonumber(sent), tonumber(largest)
local ahead = token - micros
if ARGV.retake then
  sent = math.max(token, known) == token and sent or largest
elseif token <= known or ahead <= ARGV.tokenTTL * -1000 then
  refusal = CODE.tooSmall
elseif token - math.max(micros, known) > 86400000000 then
  refusal = CODE.tooLarge
end
granted = math.abs(ahead) <= 100000 and CODE.noNews or micros
remember = function()
  redis.call('SET', KEYS.fence, sent, 'PX', ahead > 0 and string.format('%.0f', ARGV.tokenTTL + math.ceil(ahead / 1000)) or ARGV.tokenTTL)
end
