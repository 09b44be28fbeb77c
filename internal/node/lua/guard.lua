-- What acquire.lua, wait.lua and turn.lua begin with where restarts are guarded: a
-- server that may have forgotten locks grants none until all of them have expired.
--
-- The marker says which server the data is of. A server that restarted has another run
-- id, whatever it kept of its data; so has a replica that took over, and the marker is
-- its master's; where all data is gone the marker is missing. That is compared every
-- time, within the server. (That the server knows this script says nothing: somebody may
-- have sent it whose check was refused for lack of memory, or on a replica, or who uses
-- another database.)
--
-- One line comes before this, with the settings:
--   quarantine  how long locks that were forgotten may still be held, in milliseconds
--   settings    the number of nodes, the longest time to live, and that, '3 8000 8083'
-- KEYS[node]        the marker, "redlock:node": the run id, a blank, the settings
-- KEYS[quarantine]  "redlock:quarantine" exists as long as the server grants no locks
-- They have another hash slot than the lock's key, which only matters in a cluster: its
-- masters are not independent, and no nodes for locks.
-- Replies  an error: GUARDQUARANTINE, or GUARDMISMATCH if others have other settings;
--          or what the script replies
local known, agreed = string.match(redis.call('GET', KEYS[node]) or '', '^(%x+) (.*)$')
if known and agreed ~= settings then
  return redis.error_reply('GUARDMISMATCH others lock here with (nodes, longest TTL, quarantine in ms) = (' .. agreed .. '), this client has (' .. settings .. ')')
end
local info = redis.call('INFO', 'server')
if not known or not string.find(info, 'run_id:' .. known .. '\r', 1, true) then -- faster than matching
  local run = string.match(info, 'run_id:(%x+)')
  redis.call('SET', KEYS[quarantine], run, 'PX', quarantine)
  redis.call('SET', KEYS[node], run .. ' ' .. settings)
end
local left = redis.call('PTTL', KEYS[quarantine])
if left ~= -2 then
  return redis.error_reply('GUARDQUARANTINE this server may have forgotten locks, and grants none for another ' .. left .. ' ms')
end
