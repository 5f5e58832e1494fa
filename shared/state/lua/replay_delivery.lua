-- Put a reply that was given up back at the head of its lane, as if it had never been tried.
-- KEYS  1 dead  2 outbox:{p}:{lane}  3 outgoing  4 delivery:{id}
-- ARGV  1 the letter's line  2 p  3 delivery id  4 detail for the audit  5 entry  6 'p:lane'  7 kind  8 ids it covers
--       9 seconds to remember
-- returns 1 put back | 0 the letter is gone, or the delivery lies in the outbox or at Meta already
local f = redis.call('HMGET', KEYS[4], 'state', 'status')
if f[1] and f[1] ~= 'failed' then return 0 end
if f[2] and f[2] ~= 'failed' then return 0 end
if redis.call('LREM', KEYS[1], 1, ARGV[1]) == 0 then return 0 end
redis.call('LPUSH', KEYS[2], ARGV[5])
redis.call('DEL', KEYS[4])
redis.call('HSET', KEYS[4], 'kind', ARGV[7], 'state', 'queued', 'since', now_ms(), 'box', ARGV[6], 'covers', ARGV[8])
redis.call('EXPIRE', KEYS[4], ARGV[9])
redis.call('ZADD', KEYS[3], 'LT', now_ms(), ARGV[6])
audit('replayed', ARGV[2], ARGV[3], ARGV[4])
return 1
