-- Comes first in what a script does about one of several locks, whichever is free: the slots of a
-- semaphore. What is declared here:
--   values  which value holds each, false if none does, '' if it is held by readers or is other data
--   held    this value if it holds one of them, else false
--   slot    which one that is, counted from 1
local values, held, slot = {}, false, nil
for i, KEYS in ipairs(locks) do
  local value = redis.pcall('GET', KEYS.lock)
  if type(value) == 'table' and not string.find(value.err, 'WRONGTYPE', 1, true) then -- a right is missing
    return value
  end
  values[i] = type(value) ~= 'table' and value or type(value) == 'table' and ''
  if value == ARGV.value then
    held, slot = value, i
  end
end
