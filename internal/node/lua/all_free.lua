-- Comes before acquire_all.lua and acquire_all_in_turn.lua. It finds out whether several locks can
-- be taken, by what look.lua says of each. What is declared here:
--   looks          what look.lua says
--   taken, holder  which lock is taken, counted from 1, and by which value. There may be others
--   left           how long until all of them have expired, in milliseconds, negative if never
--   others         the others: {index, value, index, value ...}
--   queued         which lock is free, and has other waiters that come first
--   denied         which lock is free, and does not take the fencing token: see looks[denied].refusal
--   take           takes all of them
-- If this value has all locks already, the first one is taken by it.
-- A fencing token has to be larger than the largest one of every lock that is free, and is then
-- remembered for those.
-- A script that fails may have set some of the keys: see halfDone in proof.go.
local looks, others, mine, last = {}, {}, 0, 0
local largest, micros, granted, taken, holder, left, queued, denied
for i = 1, #keys do
  local KEYS = lock(i)
  local one = each(KEYS)
  looks[i], micros, granted = one, one.micros, one.granted
  last = math.max(last, one.last or 0)
  if one.largest and tonumber(one.largest) >= tonumber(largest or '0') then
    largest = one.largest
  end
  if one.held == ARGV.value then
    mine = mine + 1
  elseif one.held then
    local lives = redis.call('PTTL', KEYS.lock)
    if not taken then
      taken, holder, left = i, one.held, lives
    else
      if left >= 0 then
        left = lives >= 0 and math.max(left, lives) or lives
      end
      others[#others + 1] = i
      others[#others + 1] = one.held
    end
  elseif one.waits then
    queued = queued or i
  elseif one.refusal then
    denied = denied or i
  end
end
if mine == #keys then
  taken, holder, left = 1, ARGV.value, 1
end
local function take()
  for i = 1, #keys do
    local KEYS = lock(i)
    local one = looks[i]
    if not one.held then -- or else it has the value already, with its token and a longer life
      if one.pass then
        one.pass()
      end
      if one.remember then
        one.remember()
      end
      redis.call('SET', KEYS.lock, ARGV.value, 'PX', ARGV.ttl)
    end
  end
end
