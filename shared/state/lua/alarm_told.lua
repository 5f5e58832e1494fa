-- Note that the claimed step of the ladder was told, and when the next one is due.
-- KEYS  1 alarms  2 alarm:{id}
-- ARGV  1 id  2 token of the claim  3 next rung  4 when it is due, ms; 0: no more
-- returns 1 | 0 acknowledged, or claimed by another meanwhile
local f = redis.call('HMGET', KEYS[2], 'claimed_by', 'acknowledged_ms')
if f[1] ~= ARGV[2] or f[2] then return 0 end
redis.call('HSET', KEYS[2], 'rung', ARGV[3])
if ARGV[4] == '0' then redis.call('ZREM', KEYS[1], ARGV[1])
else redis.call('ZADD', KEYS[1], 'XX', ARGV[4], ARGV[1]) end
return 1
