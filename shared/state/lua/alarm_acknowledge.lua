-- A person has taken an alarm: off the ladder, once.
-- KEYS  1 alarms  2 alarm:{id}
-- ARGV  1 id  2 by  3 now ms
-- uses  audit
-- returns {1 done now | 0 done before | -1 no such alarm, when ms, by whom}
local f = redis.call('HMGET', KEYS[2], 'patient', 'acknowledged_ms', 'by', 'raised_ms')
if not f[1] then return {-1, '0', ''} end
if f[2] then return {0, f[2], f[3]} end
redis.call('HSET', KEYS[2], 'acknowledged_ms', ARGV[3], 'by', ARGV[2])
redis.call('ZREM', KEYS[1], ARGV[1])
audit('acknowledged', f[1], ARGV[1], {by = ARGV[2], after_s = math.max(0, math.floor((ARGV[3] - f[4]) / 1000))})
return {1, ARGV[3], ARGV[2]}
