-- Releases, as release.lua does, each of several locks that this value holds. One that is lost
-- does not keep the others. try.lua comes before this.
-- Replies  0 if the value did not hold all of them, 1 if it did, or instead of 1 the id of a
--          waiter, see release.lua
-- Mostly it holds all of them, and no caller waits: that takes fewer steps.
local function atOnce()
  local KEYS = lock(1)
  if ARGV.ticket or KEYS.intent then
    return false
  end
  local value, one = ARGV.value, {}
  for _, key in ipairs(keys) do
    local KEYS = one
    KEYS.lock = key
    if redis.pcall('GETRANGE', KEYS.lock, '0', '512') ~= value then
      return false
    end
  end
  if KEYS.wait and redis.pcall('EXISTS', unpack(EVERY.wait)) ~= 0 then
    return false
  end
  redis.call('DEL', unpack(keys))
  return true
end
if atOnce() then
  return 1
end
local ours, waiter = 0, nil
for i = 1, #keys do
  local KEYS = lock(i)
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
return ours == #keys and (waiter or 1) or 0
