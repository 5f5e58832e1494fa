-- Take on the step of the ladder that is due for one alarm: one watch, however many look.
-- KEYS  1 alarms  2 alarm:{id}
-- ARGV  1 id  2 token of this call  3 now ms  4 ms until it is due again if we die
-- uses  handoff:{p}: an alarm whose patient was given back leaves the ladder
-- returns the fields of the alarm | {} not due, or off the ladder
local f = redis.call('HMGET', KEYS[2], 'claimed_by', 'patient', 'acknowledged_ms')
if f[1] == ARGV[2] then return redis.call('HGETALL', KEYS[2]) end -- the same call again
local at = redis.call('ZSCORE', KEYS[1], ARGV[1])
if not at or tonumber(at) > tonumber(ARGV[3]) then return {} end
if not f[2] or f[3] or redis.call('EXISTS', 'handoff:' .. f[2]) == 0 then
  redis.call('ZREM', KEYS[1], ARGV[1])
  return {}
end
redis.call('ZADD', KEYS[1], ARGV[3] + ARGV[4], ARGV[1])
redis.call('HSET', KEYS[2], 'claimed_by', ARGV[2])
return redis.call('HGETALL', KEYS[2])
