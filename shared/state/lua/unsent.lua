-- A delivery was not (or perhaps) sent: back to the queue, unknown, or failed.
-- KEYS  1 delivery:{id}  2 outbox:{p}:{lane}  3 outgoing  4 dead  5 lease:{p}:{lane}
-- ARGV  1 token  2 entry  3 'queued', 'unknown' or 'failed'  4 'p:lane'  5 ms until the next try  6 code or ''
--       7 dead-letter json, when failed
-- returns 1 done | 0 a status or another token settled it meanwhile
local f = redis.call('HMGET', KEYS[1], 'state', 'by')
if f[1] ~= 'sending' or f[2] ~= ARGV[1] then return 0 end
local now = now_ms()
redis.call('HSET', KEYS[1], 'state', ARGV[3], 'since', now)
if ARGV[6] ~= '' then redis.call('HSET', KEYS[1], 'code', ARGV[6]) end
if ARGV[3] == 'failed' then
  redis.call('LREM', KEYS[2], 1, ARGV[2])
  redis.call('LPUSH', KEYS[4], ARGV[7])
  redis.call('LTRIM', KEYS[4], 0, 9999)
  count('dead_total|kind=delivery')
elseif redis.call('GET', KEYS[5]) == ARGV[1] then
  redis.call('DEL', KEYS[5])
  redis.call('ZADD', KEYS[3], now + ARGV[5], ARGV[4])
end
count('sends_total|outcome=' .. ARGV[3])
return 1
