-- Comes before extend_all.lua and swap_all.lua: denial(former) is what they reply if a lock is not
-- held, by this value or by the former one: 0 if a key is gone, else the value that holds one of
-- them. It is nil if all are held. look.lua has looked at each.
local function denial(former)
  local gone
  for i = 1, #keys do
    local KEYS = lock(i)
    local held = each(KEYS).held
    if held and held ~= ARGV.value and held ~= former then
      return held
    end
    gone = gone or not held
  end
  return gone and 0 or nil
end
