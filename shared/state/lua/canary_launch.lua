-- May a canary start? If so it is noted, and what is remembered of the one before is forgotten.
-- KEYS  1 canary  2 inbox:{p}  3 outbox:{p}:urgent  4 outbox:{p}:normal  then keys to forget
-- ARGV  1 p  2 period, s  3 its message id
-- uses  handoffs, optouts, contacted zsets
-- returns 1 start | 0 the one before is still on its way, or one was launched a moment ago
local now, period_ms = now_ms(), ARGV[2] * 1000
local f = redis.call('HMGET', KEYS[1], 'tried_ms', 'sent_ms', 'message')
if f[3] == ARGV[3] then return 1 end -- the same call again
-- After a long silence (the system stood still, or Beat did) lateness is counted from now.
if not f[1] or now - f[1] > 2 * period_ms then redis.call('HSET', KEYS[1], 'started_ms', now) end
redis.call('HSET', KEYS[1], 'tried_ms', now, 'period_s', ARGV[2], 'patient', ARGV[1])
if redis.call('EXISTS', KEYS[2], KEYS[3], KEYS[4]) > 0 then return 0 end
if f[2] and now - f[2] < period_ms / 2 then return 0 end
for i = 5, #KEYS do redis.call('DEL', KEYS[i]) end
redis.call('ZREM', 'handoffs', ARGV[1])
redis.call('ZREM', 'optouts', ARGV[1])
redis.call('ZREM', 'contacted', ARGV[1])
redis.call('HSET', KEYS[1], 'sent_ms', now, 'message', ARGV[3])
return 1
