-- Take what is due from the clocks, and push each forward: several sweepers never ring twice for one thing.
-- KEYS  1 waiting  2 outgoing  3 reminders  4 throughput
-- ARGV  1 at most this many of each  2 ms until it is rung again  3 ms of throughput that a reminder takes
--       4 at most this many of waiting
-- returns {waiting members, outgoing members, reminder members, ms until the next turn is due or -1}
local now = now_ms()
note_sweep(now)
local taken = {}
for i, at_most in ipairs({ARGV[4], ARGV[1]}) do
  taken[i] = redis.call('ZRANGEBYSCORE', KEYS[i], '-inf', now, 'LIMIT', 0, at_most)
  for _, member in ipairs(taken[i]) do redis.call('ZADD', KEYS[i], now + ARGV[2], member) end
end
-- Reminders only as the number's throughput has room: whatever else was sent lately goes before them.
local BURST_MS, AGAIN_MS = 200, 60000
local spent = math.max(now, tonumber(redis.call('GET', KEYS[4]) or 0))
local room = math.floor((now + BURST_MS - spent) / ARGV[3])
taken[3] = {}
if room > 0 then
  taken[3] = redis.call('ZRANGEBYSCORE', KEYS[3], '-inf', now, 'LIMIT', 0, room)
  for _, member in ipairs(taken[3]) do redis.call('ZADD', KEYS[3], now + AGAIN_MS, member) end
  if #taken[3] > 0 then redis.call('SET', KEYS[4], spent + #taken[3] * ARGV[3], 'PX', 60000) end
end
-- Whoever sweeps comes back when the next burst is over, not up to a whole period later.
local following = redis.call('ZRANGEBYSCORE', KEYS[1], '(' .. now, '+inf', 'WITHSCORES', 'LIMIT', 0, 1)
taken[4] = following[2] and math.ceil(following[2] - now) or -1
return taken
