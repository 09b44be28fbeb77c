-- Comes before release_all.lua and expire_all.lua: try(KEYS) does to one lock what each does. It
-- returns 0 if that fails, so that the other locks are given up, too. A key that is no string
-- holds no lock. Any other failure is to be raised when all locks are done: failures[1]. (It is in a
-- table because gopher-lua, on which miniredis runs scripts, loses a variable that is set here once
-- pcall has failed.)
local failures = {}
local function try(KEYS)
  local done, answer = pcall(each, KEYS)
  if done then
    return answer
  end
  local text = type(answer) == 'table' and answer.err or answer
  if not string.find(text, 'WRONGTYPE', 1, true) then
    failures[1] = failures[1] or answer
  end
  return 0
end
