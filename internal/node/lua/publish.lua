-- Stores a text if its version is larger than that of the text that is here, and notifies the
-- watchers. If it is the same the text may live longer from then on, and no watcher is notified.
-- record.lua comes before this, and if_held.lua where only the holder of a lock may write.
-- ARGV.term, ARGV.seq and ARGV.writer  the version
-- ARGV.retention  how long the text lives, in milliseconds, 0 if it has expired: then it is
--                 empty
-- ARGV.kept       how long its version is remembered, not less than that; 0 if both live for ever
-- ARGV.former     1 if a larger version that is here is to be read, with its text
-- Replies  {done, 1 if the text is stored, now or by an earlier send of this, 0 if a larger
--          version is here, CODE.notHeld if the lock is not held; term, seq, writer, the
--          version that was here before; remains, text, of a larger one, as in read.lua}
-- The channel of the watchers is "{key}:news". The message is the version.
-- The write comes before the notification, which is a hint, and may fail.
local mine = {tonumber(ARGV.term), tonumber(ARGV.seq), tonumber(ARGV.writer)}
local order = mine[1] ~= term and mine[1] - term or mine[2] ~= seq and mine[2] - seq or mine[3] - writer
local longer = false
if order == 0 and start > 0 then
  local remains = lives()
  longer = remains >= 0 and (ARGV.kept == '0' or tonumber(ARGV.retention) > remains)
end
if order > 0 or longer then
  local version = string.format('%.0f %.0f %.0f ', mine[1], mine[2], mine[3])
  if ARGV.kept == '0' then
    redis.call('SET', KEYS.value, version .. '0 ' .. ARGV.text)
  else
    redis.call('SET', KEYS.value, version .. string.format('%.0f ', ARGV.kept - ARGV.retention) .. ARGV.text, 'PX', ARGV.kept)
  end
end
if order > 0 then
  redis.pcall('PUBLISH', string.match(KEYS.value, '^(.*:)') .. 'news', string.format('%.0f.%.0f', mine[1], mine[2]))
end
local remains, text = 0, ''
if order < 0 and ARGV.former == '1' then
  remains = lives()
  text = remains ~= 0 and redis.call('GETRANGE', KEYS.value, start, '-1') or ''
end
return {done = order < 0 and 0 or 1, term = term, seq = seq, writer = writer, remains = remains, text = text}
