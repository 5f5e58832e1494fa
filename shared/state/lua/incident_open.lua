-- Note that an incident was seen: open it, or count it while it is open.
-- KEYS  1 incidents  2 incident:{kind}  3 incident:{kind}:closed
-- ARGV  1 kind  2 token of this call  3 now ms  4 detail  5 ms to settle  6 ms to settle when it was closed just now
-- returns 1 opened | 0 counted
local f = redis.call('HMGET', KEYS[2], 'opened_by', 'seen_by')
if f[1] == ARGV[2] then return 1 end -- the same call again
if f[2] == ARGV[2] then return 0 end
redis.call('ZADD', KEYS[1], ARGV[3], ARGV[1])
redis.call('HSET', KEYS[2], 'last_ms', ARGV[3], 'detail', ARGV[4], 'seen_by', ARGV[2])
redis.call('HINCRBY', KEYS[2], 'count', 1)
redis.call('HDEL', KEYS[2], 'works_ms')
if f[1] then return 0 end
local settle = redis.call('EXISTS', KEYS[3]) == 1 and ARGV[6] or ARGV[5]
redis.call('HSET', KEYS[2], 'opened_by', ARGV[2], 'opened_ms', ARGV[3], 'tried_ms', ARGV[3], 'settle_ms', settle)
return 1
