-- Prolongs, as extend.lua does, each of several locks that this value holds: a release that
-- leaves the keys for so long. One that is lost does not keep the others. try.lua comes before
-- this.
-- Replies  1 if the value held all of them, else 0
local ours = 0
for i = 1, #keys do
  local KEYS = lock(i)
  if try(KEYS) == 1 then
    ours = ours + 1
  end
end
if failures[1] then
  error(failures[1])
end
return ours == #keys and 1 or 0
