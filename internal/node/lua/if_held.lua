-- Comes before publish.lua where only the holder of a lock may write. held.lua comes before
-- this.
-- ARGV.value is the value that has to hold the lock.
if held ~= ARGV.value then
  return CODE.notHeld
end
