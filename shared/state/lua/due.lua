-- Take what is due from the three clocks, and push each forward: several sweepers never ring twice for one thing.
-- KEYS  1 waiting  2 outgoing  3 fresh  4 reminders  5 throughput
-- ARGV  1 at most this many of each  2 ms until it is rung again  3 ms that a fresh message waits for its own doorbell
--       4 ms of throughput that a reminder takes  5 at most this many of waiting
-- returns {waiting members, outgoing members, fresh members, reminder members, ms until the next turn is due or -1}
local now = now_ms()
note_sweep(now)
local taken = {}
for i, at_most in ipairs({ARGV[5], ARGV[1]}) do
  taken[i] = redis.call('ZRANGEBYSCORE', KEYS[i], '-inf', now, 'LIMIT', 0, at_most)
  for _, member in ipairs(taken[i]) do redis.call('ZADD', KEYS[i], now + ARGV[2], member) end
end
-- `fresh` keeps its time (triage compares it with what it read), so a sweep guard of its own spaces the rings.
taken[3] = {}
for _, member in ipairs(redis.call('ZRANGEBYSCORE', KEYS[3], '-inf', now - ARGV[3], 'LIMIT', 0, ARGV[1])) do
  if redis.call('SET', 'rung:' .. member, '1', 'NX', 'PX', ARGV[2]) then table.insert(taken[3], member) end
end
-- Reminders only as the number's throughput has room: whatever else was sent lately goes before them.
local BURST_MS, AGAIN_MS = 200, 60000
local spent = math.max(now, tonumber(redis.call('GET', KEYS[5]) or 0))
local room = math.floor((now + BURST_MS - spent) / ARGV[4])
taken[4] = {}
if room > 0 then
  taken[4] = redis.call('ZRANGEBYSCORE', KEYS[4], '-inf', now, 'LIMIT', 0, room)
  for _, member in ipairs(taken[4]) do redis.call('ZADD', KEYS[4], now + AGAIN_MS, member) end
  if #taken[4] > 0 then redis.call('SET', KEYS[5], spent + #taken[4] * ARGV[4], 'PX', 60000) end
end
-- Whoever sweeps comes back when the next burst is over, not up to a whole period later.
local following = redis.call('ZRANGEBYSCORE', KEYS[1], '(' .. now, '+inf', 'WITHSCORES', 'LIMIT', 0, 1)
taken[5] = following[2] and math.ceil(following[2] - now) or -1
return taken
