-- End an incident, unless it was seen too lately.
-- KEYS  1 incidents  2 incident:{kind}  3 incident:{kind}:closed
-- ARGV  1 kind  2 token of this call  3 now ms  4 'works', 'settled', 'quiet' or 'hand'  5 ms of quiet, for 'quiet'
--       6 seconds to remember it as closed
-- returns the fields of the incident that was closed by this call | {}
if redis.call('HGET', KEYS[3], 'closed_by') == ARGV[2] then return redis.call('HGETALL', KEYS[3]) end
local f = redis.call('HMGET', KEYS[2], 'last_ms', 'works_ms', 'settle_ms')
if not f[1] then return {} end
local needed = ARGV[5]
if ARGV[4] == 'works' or ARGV[4] == 'settled' then
  needed = f[3]
  if not f[2] then
    if ARGV[4] == 'settled' then return {} end -- it was seen again meanwhile
    redis.call('HSET', KEYS[2], 'works_ms', ARGV[3])
  end
end
if ARGV[4] ~= 'hand' and ARGV[3] - f[1] < tonumber(needed) then return {} end
redis.call('HSET', KEYS[2], 'closed_ms', ARGV[3], 'closed_by', ARGV[2])
redis.call('RENAME', KEYS[2], KEYS[3])
redis.call('EXPIRE', KEYS[3], ARGV[6])
redis.call('ZREM', KEYS[1], ARGV[1])
return redis.call('HGETALL', KEYS[3])
