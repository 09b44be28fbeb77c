-- Stores a text if its version is larger than that of the text that is here, and notifies the
-- watchers. If it is the same the text may live longer from then on, and nobody is notified. record.lua comes before this, and if_held.lua where only the holder of a lock may
-- write.
-- ARGV.term, ARGV.seq and ARGV.writer  the version
-- ARGV.retention  how long the text lives, in milliseconds, 0 for ever, negative if it has
--                 expired: then the text is empty
-- ARGV.kept       how long its version is remembered, not less than that, 0 for ever
-- ARGV.former     1 if the reply is to have the text that was here
-- Replies  {done, 1 if the text is stored, now or by an earlier send of this, 0 if a larger
--          version is here, CODE.notHeld if the lock is not held; term, seq, writer, remains,
--          text, of what was here before, as in read.lua}
-- The channel of the watchers is "{key}:news". The message is the version.
-- The write comes before the notification, which is a hint, and may fail.
local mine = {tonumber(ARGV.term), tonumber(ARGV.seq), tonumber(ARGV.writer)}
local order = mine[1] ~= term and mine[1] - term or mine[2] ~= seq and mine[2] - seq or mine[3] - writer
local retention = tonumber(ARGV.retention)
if order > 0 or order == 0 and remains >= 0 and (retention == 0 or retention > remains) then
  local header = string.format('%.0f %.0f %.0f %.0f ', mine[1], mine[2], mine[3], retention == 0 and 0 or retention < 0 and 1 or now + retention)
  if ARGV.kept == '0' then
    redis.call('SET', KEYS.value, header .. ARGV.text)
  else
    redis.call('SET', KEYS.value, header .. ARGV.text, 'PX', ARGV.kept)
  end
end
if order > 0 then
  redis.pcall('PUBLISH', string.match(KEYS.value, '^(.*:)') .. 'news', string.format('%.0f.%.0f', mine[1], mine[2]))
end
return {done = order < 0 and 0 or 1, term = term, seq = seq, writer = writer, remains = remains, text = ARGV.former == '1' and text or ''}
