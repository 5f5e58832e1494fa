-- Take on to tell staff of an open incident: one process, however many look.
-- KEYS  1 incident:{kind}
-- ARGV  1 token of this call  2 tried_ms as it was read  3 now ms
-- returns 1 ours | 0 another process tells it, or it is closed
local f = redis.call('HMGET', KEYS[1], 'claimed_by', 'tried_ms')
if f[1] == ARGV[1] then return 1 end
if f[2] ~= ARGV[2] then return 0 end
redis.call('HSET', KEYS[1], 'claimed_by', ARGV[1], 'tried_ms', ARGV[3])
return 1
