-- Take what is due from the three clocks, and push each forward: several sweepers never ring twice for one thing.
-- KEYS  1 waiting  2 outgoing  3 fresh
-- ARGV  1 at most this many of each  2 ms until it is rung again  3 ms that a fresh message waits for its own doorbell
-- returns {waiting members, outgoing members, fresh members}
local now = now_ms()
local taken = {}
for i = 1, 2 do
  taken[i] = redis.call('ZRANGEBYSCORE', KEYS[i], '-inf', now, 'LIMIT', 0, ARGV[1])
  for _, member in ipairs(taken[i]) do redis.call('ZADD', KEYS[i], now + ARGV[2], member) end
end
-- `fresh` keeps its time (triage compares it with what it read), so a sweep guard of its own spaces the rings.
taken[3] = {}
for _, member in ipairs(redis.call('ZRANGEBYSCORE', KEYS[3], '-inf', now - ARGV[3], 'LIMIT', 0, ARGV[1])) do
  if redis.call('SET', 'rung:' .. member, '1', 'NX', 'PX', ARGV[2]) then table.insert(taken[3], member) end
end
return taken
