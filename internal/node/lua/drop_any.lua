-- Comes before release.lua in place of drop.lua, for one of several locks. any.lua comes before this.
local function drop()
  for i, value in ipairs(values) do
    if value == ARGV.value then
      local KEYS = lock(i)
      redis.call('DEL', KEYS.lock)
    end
  end
  return true
end
