-- What wait.lua and turn.lua begin with: whether the lock may be taken with a fencing
-- token. A token is taken with the lock or not at all, and only if it is larger than
-- the newest one here: then any two that majorities took differ, and are in the order
-- of the acquisitions (docs/guarantees.md, "Fencing tokens").
-- KEYS[fence]  the newest token that was taken here, "{key}:fence". It is kept as it was
--          sent: Lua would write a number of that size as 1.78e+15
-- There are two more ARGV behind those of the script, and a third if it is so:
--          the token: about this server's time in microseconds, below 2^53
--          how long it is remembered in milliseconds, by this server's clock, from now
--          on or from the time that the token stands for, whichever is later
--          'again' if the lock is held with this token already, and was lost here: then
--          nothing is handed out, and the token need not be larger
-- Replies  are those of the script, and at their end {..., the newest token that was
--          taken before, this server's time in microseconds}. If the key was free and
--          is now set there is only that time, and 1 in its place if the token is within
--          a tenth of a second of it: it is hardly news then, and a small number costs
--          clients no memory. If the key is free, and the token not taken, the value is
--          empty and the remaining time to live says why: -3 if the token is too small, or
--          stands for a time so long ago that larger ones may have been forgotten since,
--          -4 if it is more than a day ahead of this server, and of the newest, so that no
--          single mistake uses up all numbers.
-- One line comes before this, also where there is no token, with the names of what is
-- found out here: newest, micros, granted, refusal, remember.
local again = ARGV[#ARGV] == 'again'
local sent, life = ARGV[#ARGV - 1], ARGV[#ARGV]
if again then
  sent, life = ARGV[#ARGV - 2], ARGV[#ARGV - 1]
end
local clock = redis.call('TIME')
micros = clock[1] * 1000000 + clock[2]
newest = redis.call('GET', KEYS[fence]) or '0'
local token, known = tonumber(sent), tonumber(newest)
local ahead = token - micros
if again then
  sent = math.max(token, known) == token and sent or newest
elseif token <= known or ahead <= life * -1000 then
  refusal = -3
elseif token - math.max(micros, known) > 86400000000 then
  refusal = -4
end
granted = math.abs(ahead) <= 100000 and 1 or micros
remember = function()
  redis.call('SET', KEYS[fence], sent, 'PX', ahead > 0 and string.format('%.0f', life + math.ceil(ahead / 1000)) or life)
end
