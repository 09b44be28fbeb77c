-- Comes before release.lua in place of drop.lua, for one of several locks. any.lua comes before this.
-- Holders of other slots may yet go back into the queue, so KEYS.lease stays.
local function drop()
  for i, KEYS in ipairs(locks) do
    if values[i] == ARGV.value then
      redis.call('DEL', KEYS.lock)
    end
  end
  return true, true
end
