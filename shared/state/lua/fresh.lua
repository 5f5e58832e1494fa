-- Take who was not searched for danger although the doorbell has had its time.
-- KEYS  1 fresh
-- ARGV  1 at most so many  2 ms that a fresh message waits for its own doorbell  3 ms until it is taken again
-- uses  rung:{p}
-- returns patients. `fresh` keeps its time (triage compares it with what it read), so a guard of its own spaces the takes.
local taken = {}
for _, p in ipairs(redis.call('ZRANGEBYSCORE', KEYS[1], '-inf', now_ms() - ARGV[2], 'LIMIT', 0, ARGV[1])) do
  if redis.call('SET', 'rung:' .. p, '1', 'NX', 'PX', ARGV[3]) then table.insert(taken, p) end
end
return taken
