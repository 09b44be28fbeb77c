-- Comes first in acquire_all.lua. It takes several locks in fewer steps, if all are free, as they
-- mostly are: what it has set it deletes again if one is not. An attempt that leaves a flag comes
-- after one that found a lock taken, and does not try this.
local function setAll()
  for i, KEYS in ipairs(locks) do
    if not redis.call('SET', KEYS.lock, ARGV.value, 'NX', 'PX', ARGV.ttl) then
      for j = 1, i - 1 do
        local KEYS = locks[j]
        redis.call('DEL', KEYS.lock)
      end
      return false
    end
  end
  return true
end
local KEYS = locks[1]
if not KEYS.wait and setAll() then
  return nil
end
