-- Stores a text if its version is larger than that of the text that is here, and notifies the
-- watchers. If it is the same the text may live longer from then on, and no watcher is notified.
-- record.lua comes before this, and if_held.lua where only the holder of a lock may write.
-- ARGV.record  what KEYS.value is to hold
-- ARGV.kept    how long the key is to live, in milliseconds, 0 if for ever
-- ARGV.former  1 if a larger version that is here is to be read, with its text
-- Replies  1 if the text is stored, now or by an earlier send of this; CODE.notHeld if the lock is
--          not held; else a larger version is here: {record, what the value begins with; left, text,
--          as in read.lua, if they were asked for}
-- The channel of the watchers is "{key}:news". The message is the first two numbers of the version.
-- The write comes before the notification, which is a hint, and may fail.
local known, version = string.sub(here, 1, 48), string.sub(ARGV.record, 1, 48)
if version < known then
  local left, text = 0, ''
  if ARGV.former == '1' then
    left, text = rest()
  end
  return {record = here, left = left, text = text}
end
local longer = false
if version == known then
  local left = redis.call('PTTL', KEYS.value)
  longer = left >= 0 and (ARGV.kept == '0' or ARGV.kept - string.sub(ARGV.record, 49, 64) > math.max(left - string.sub(here, 49), 0))
end
if version > known or longer then
  if ARGV.kept == '0' then
    redis.call('SET', KEYS.value, ARGV.record)
  else
    redis.call('SET', KEYS.value, ARGV.record, 'PX', ARGV.kept)
  end
end
if version > known then
  redis.pcall('PUBLISH', string.match(KEYS.value, '^(.*:)') .. 'news', string.sub(version, 1, 32))
end
return 1
