-- Replaces the value that holds several locks, or none: see swap.lua. look.lua has looked at
-- each.
-- Replies  1 if the new value holds all of them, 0 if a key is gone, else the value that holds
--          one of them
local gone
for _, KEYS in ipairs(locks) do
  local held = each(KEYS).held
  if held and held ~= ARGV.value and held ~= ARGV.former then
    return held
  end
  gone = gone or not held
end
if gone then
  return 0
end
for _, KEYS in ipairs(locks) do
  redis.call('SET', KEYS.lock, ARGV.value, 'PX', ARGV.ttl)
end
return 1
