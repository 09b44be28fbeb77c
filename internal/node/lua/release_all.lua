-- Releases, as release.lua does, each of several locks that this value holds. One that is lost
-- does not keep the others. try.lua comes before this.
-- Replies  0 if the value did not hold all of them, 1 if it did, or instead of 1 the id of a
--          waiter, see release.lua
-- Mostly it holds all of them, and no caller waits: that takes fewer steps.
local function atOnce()
  local keys, waits = {}, {}
  for i, KEYS in ipairs(locks) do
    if ARGV.ticket or KEYS.intent or redis.pcall('GETRANGE', KEYS.lock, '0', '512') ~= ARGV.value then
      return false
    end
    keys[i], waits[i] = KEYS.lock, KEYS.wait
  end
  if waits[1] and redis.pcall('EXISTS', unpack(waits)) ~= 0 then
    return false
  end
  redis.call('DEL', unpack(keys))
  return true
end
if atOnce() then
  return 1
end
local ours, waiter = 0, nil
for _, KEYS in ipairs(locks) do
  local answer = try(KEYS)
  if answer ~= 0 then
    ours = ours + 1
  end
  if type(answer) == 'string' then
    waiter = answer
  end
end
if failures[1] then
  error(failures[1])
end
return ours == #locks and (waiter or 1) or 0
