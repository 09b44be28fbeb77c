-- Comes first in acquire_all.lua. It takes several locks in fewer steps, if all are free, as they
-- mostly are: what it has set it deletes again if one is not. An attempt that leaves a flag comes
-- after one that found a lock taken, and does not try this.
local function setAll()
  local KEYS = {}
  for i, key in ipairs(keys) do
    KEYS.lock = key
    if not redis.call('SET', KEYS.lock, ARGV.value, 'NX', 'PX', ARGV.ttl) then
      if i > 1 then
        redis.call('DEL', unpack(keys, 1, i - 1))
      end
      return false
    end
  end
  return true
end
if size == 1 and setAll() then
  return nil
end
