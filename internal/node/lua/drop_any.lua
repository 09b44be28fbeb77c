-- Comes before release.lua in place of drop.lua, for one of several locks. any.lua comes before this.
local function drop()
  for i, KEYS in ipairs(locks) do
    if values[i] == ARGV.value then
      redis.call('DEL', KEYS.lock)
    end
  end
  return true
end
