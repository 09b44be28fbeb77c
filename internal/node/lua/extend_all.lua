-- Prolongs several locks, or none: it prolongs them if this value holds each. all_held.lua comes
-- before this.
-- Replies  1 if prolonged, 0 if a key is gone, else the value that holds one of them
local denied = denial()
if denied then
  return denied
end
for i = 1, #keys do
  local KEYS = lock(i)
  redis.call('PEXPIRE', KEYS.lock, ARGV.ttl)
end
return 1
