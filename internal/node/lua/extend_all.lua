-- Prolongs several locks, or none: it prolongs them if this value holds each. look.lua has
-- looked at each.
-- Replies  1 if prolonged, 0 if a key is gone, else the value that holds one of them
local gone
for _, KEYS in ipairs(locks) do
  local held = each(KEYS).held
  if held and held ~= ARGV.value then
    return held
  end
  gone = gone or not held
end
if gone then
  return 0
end
for _, KEYS in ipairs(locks) do
  redis.call('PEXPIRE', KEYS.lock, ARGV.ttl)
end
return 1
