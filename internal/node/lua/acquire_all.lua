-- Takes several locks, or none: it takes them if each is free, or has this value already.
-- look.lua has looked at each. If one is taken the reply says which, and the waiter flag is
-- left there, so that its release is published.
-- KEYS and ARGV are those of acquire_or_flag.lua. A fencing token has to be larger than the largest one
-- of every lock, and is then remembered for all.
-- Replies  nil, or what fence.lua says, if all locks have the value now, and one had not
--          before. Else {holder, the value that holds one of them; left, how long it still
--          lives in milliseconds, or CODE.tooSmall, CODE.tooLarge; index, which lock that is,
--          counted from 1}. The holder is this value if all locks have had it before.
-- A script that fails may have set some of the keys: see halfDone in proof.go.
local looks, mine = {}, 0
local largest, micros, granted, refusal, refused
local taken, holder
for i, KEYS in ipairs(locks) do
  local one = each(KEYS)
  looks[i], micros, granted = one, one.micros, one.granted
  if one.largest and tonumber(one.largest) >= tonumber(largest or '0') then
    largest = one.largest
  end
  if one.held == ARGV.value then
    mine = mine + 1
  elseif one.held and not taken then
    taken, holder = i, one.held
  elseif not one.held and one.refusal then
    refusal, refused = one.refusal, i
  end
end
if not taken and mine == #locks then
  taken, holder = 1, ARGV.value
end
if taken then
  local KEYS = locks[taken]
  if holder ~= ARGV.value and KEYS.wait then
    local left = redis.pcall('PTTL', KEYS.wait) -- another waiter may need it for longer
    redis.pcall('SET', KEYS.wait, ARGV.waiter, 'PX', type(left) == 'number' and math.max(left, ARGV.flagTTL) or ARGV.flagTTL)
  end
  return {holder = holder, left = redis.call('PTTL', KEYS.lock), index = taken, largest = largest, micros = micros}
end
if refusal then
  return {holder = '', left = refusal, index = refused, largest = largest, micros = micros}
end
for i, KEYS in ipairs(locks) do
  if looks[i].remember then
    looks[i].remember()
  end
  redis.call('SET', KEYS.lock, ARGV.value, 'PX', ARGV.ttl)
end
return granted
