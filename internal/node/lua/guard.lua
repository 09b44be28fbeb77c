-- Comes before every script that takes a lock where restarts are guarded. A
-- server that may have forgotten locks grants none until all of them have expired.
--
-- The marker says which server the data is of. A server that restarted has another run id,
-- whatever it kept of its data. So has a replica that took over: the marker is its former
-- master's. Where all data is gone the marker is missing. This is compared every time,
-- within the server. That the server knows this script proves nothing. Another client may
-- have loaded it whose check was refused for lack of memory, or on a replica, or which uses
-- another database.
--
-- The line before this has the settings:
--   quarantine  how long locks that were forgotten may still be held, in milliseconds
--   settings    the number of nodes, the longest TTL, and the quarantine: '3 8000 8083'
-- KEYS.node is the marker, "redlock:node": the run id, a blank, the settings.
-- KEYS.quarantine, "redlock:quarantine", exists as long as the server grants no locks.
-- Both have another hash slot than the lock's key. That only matters in a cluster, whose
-- masters are not independent, and no nodes for locks.
-- Replies  an error: GUARDQUARANTINE, or GUARDMISMATCH if other clients have other
--          settings; else what the script replies
local known, agreed = string.match(redis.call('GET', KEYS.node) or '', '^(%x+) (.*)$')
if known and agreed ~= settings then
  return redis.error_reply('GUARDMISMATCH others lock here with (nodes, longest TTL, quarantine in ms) = (' .. agreed .. '), this client has (' .. settings .. ')')
end
local info = redis.call('INFO', 'server')
if not known or not string.find(info, 'run_id:' .. known .. '\r', 1, true) then -- faster than matching
  local run = string.match(info, 'run_id:(%x+)')
  redis.call('SET', KEYS.quarantine, run, 'PX', quarantine)
  redis.call('SET', KEYS.node, run .. ' ' .. settings)
end
local left = redis.call('PTTL', KEYS.quarantine)
if left ~= CODE.free then
  return redis.error_reply('GUARDQUARANTINE this server may have forgotten locks, and grants none for another ' .. left .. ' ms')
end
