-- Put a reply that was given up back into its lane, before those written later, as if it had never been tried.
-- KEYS  1 dead  2 outbox:{p}:{lane}  3 outgoing  4 delivery:{id}
-- ARGV  1 the letter's line  2 p  3 delivery id  4 detail for the audit  5 entry  6 'p:lane'  7 kind  8 ids it covers
--       9 seconds to remember
-- returns 1 put back | 0 the letter is gone, or the delivery lies in the outbox or at Meta already
local f = redis.call('HMGET', KEYS[4], 'state', 'status')
if f[1] and f[1] ~= 'failed' then return 0 end
if f[2] and f[2] ~= 'failed' then return 0 end
if redis.call('LREM', KEYS[1], 1, ARGV[1]) == 0 then return 0 end
local function written(entry) return cjson.decode(string.match(entry, '|(.*)$')).created_at or '' end
local mine, after = written(ARGV[5]), nil
for _, entry in ipairs(redis.call('LRANGE', KEYS[2], 0, -1)) do
  if written(entry) > mine then after = entry break end
end
if after then redis.call('LINSERT', KEYS[2], 'BEFORE', after, ARGV[5])
else redis.call('RPUSH', KEYS[2], ARGV[5]) end
redis.call('DEL', KEYS[4])
redis.call('HSET', KEYS[4], 'kind', ARGV[7], 'state', 'queued', 'since', now_ms(), 'box', ARGV[6], 'covers', ARGV[8])
redis.call('EXPIRE', KEYS[4], ARGV[9])
redis.call('ZADD', KEYS[3], 'LT', now_ms(), ARGV[6])
audit('replayed', ARGV[2], ARGV[3], ARGV[4])
return 1
