-- Takes several locks, or none: it takes them if each is free, or has this value already.
-- look.lua has looked at each. If one is taken the reply says which, and the waiter flag is
-- left there, so that its release is published.
-- KEYS and ARGV are those of acquire_or_flag.lua. A fencing token has to be larger than the
-- largest one of every lock that is free, and is then remembered for those.
-- Replies  nil, or what fence.lua says, if all locks have the value now, and one had not
--          before. Else {holder, the value that holds one of them; left, in milliseconds, how
--          long until all that are taken have expired, negative if never, or CODE.tooSmall,
--          CODE.tooLarge; index, which lock that is, counted from 1}. The holder is this value
--          if all locks have had it before.
-- A script that fails may have set some of the keys: see halfDone in proof.go.
local looks, mine = {}, 0
local largest, micros, granted, refusal, refused
local taken, holder, left
for i, KEYS in ipairs(locks) do
  local one = each(KEYS)
  looks[i], micros, granted = one, one.micros, one.granted
  if one.largest and tonumber(one.largest) >= tonumber(largest or '0') then
    largest = one.largest
  end
  if one.held == ARGV.value then
    mine = mine + 1
  elseif one.held then
    local lives = redis.call('PTTL', KEYS.lock)
    if not taken then
      taken, holder, left = i, one.held, lives
    elseif left >= 0 then
      left = lives >= 0 and math.max(left, lives) or lives
    end
  elseif one.refusal then
    refusal, refused = one.refusal, i
  end
end
if not taken and mine == #locks then
  taken, holder, left = 1, ARGV.value, 1
end
if taken then
  local KEYS = locks[taken]
  if holder ~= ARGV.value and KEYS.wait then
    local kept = redis.pcall('PTTL', KEYS.wait) -- another waiter may need it for longer
    redis.pcall('SET', KEYS.wait, ARGV.waiter, 'PX', type(kept) == 'number' and math.max(kept, ARGV.flagTTL) or ARGV.flagTTL)
  end
  return {holder = holder, left = left, index = taken, largest = largest, micros = micros}
end
if refusal then
  return {holder = '', left = refusal, index = refused, largest = largest, micros = micros}
end
for i, KEYS in ipairs(locks) do
  if not looks[i].held then -- or else it has the value already, with its token and a longer life
    if looks[i].remember then
      looks[i].remember()
    end
    redis.call('SET', KEYS.lock, ARGV.value, 'PX', ARGV.ttl)
  end
end
return granted
