-- What acquire.lua, wait.lua and turn.lua begin with where restarts are guarded: a
-- server that may have forgotten locks grants none until all of them have expired.
--
-- A server that restarts knows no scripts, and neither does a replica that takes over.
-- So who locks next has to send the text, and asks for a check along with it. Thus no
-- restart is missed, and nothing has to be asked as long as there is none. Where data
-- was lost without a restart (FLUSHALL) the marker is missing.
--
-- One line comes before this, with the settings:
--   settings    the number of nodes and the longest time to live in milliseconds, '3 8000'
--   quarantine  how long locks that were forgotten may still be held, in milliseconds
-- ARGV[#ARGV]  1 to check. It is taken off before anything else is read
-- "redlock:node"        the marker: the server's run id, a blank, the settings
-- "redlock:quarantine"  exists as long as the server grants no locks
-- Replies  an error: GUARDCHECK, to ask for a check; GUARDQUARANTINE; GUARDMISMATCH if
--          others have other settings; or what the script replies
local check = table.remove(ARGV) == '1'
local marker = redis.call('GET', 'redlock:node')
local run, agreed = string.match(marker or '', '^(%x+) (.*)$')
if run and agreed ~= settings then
  return redis.error_reply('GUARDMISMATCH others lock here with (nodes, longest TTL in ms) = (' .. agreed .. '), this client has (' .. settings .. ')')
end
if check then
  local now = string.match(redis.call('INFO', 'server'), 'run_id:(%x+)')
  if run ~= now then
    redis.call('SET', 'redlock:quarantine', now, 'PX', quarantine)
    redis.call('SET', 'redlock:node', now .. ' ' .. settings)
  end
elseif not run then
  return redis.error_reply('GUARDCHECK')
end
local left = redis.call('PTTL', 'redlock:quarantine')
if left ~= -2 then
  return redis.error_reply('GUARDQUARANTINE this server may have forgotten locks, and grants none for another ' .. left .. ' ms')
end
