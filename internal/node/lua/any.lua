-- Comes first in what a script does about one of several locks, whichever is free: the slots of a
-- semaphore. What is declared here:
--   values  which value holds each, false if none does, or if it is no text: readers, or other data
--   held    this value if it holds one of them, else false
--   slot    which one that is, counted from 1
local held, slot = false, nil
local values = redis.pcall('MGET', unpack(keys))
if values.err then -- a user without the right to it
  for i = 1, #keys do
    local KEYS = lock(i)
    local value = redis.pcall('GET', KEYS.lock)
    if type(value) == 'table' and not string.find(value.err, 'WRONGTYPE', 1, true) then -- nor to this
      return value
    end
    values[i] = type(value) ~= 'table' and value
  end
end
for i, value in ipairs(values) do
  if value == ARGV.value then
    held, slot = value, i
  end
end
