-- Set the messages of a turn aside for a person, tell the patient once, and let the next message have its turn.
-- KEYS  1 lease:{p}  2 inbox:{p}  3 waiting  4 dead  5 outbox:{p}:normal  6 outgoing  7 delay:{p}
-- ARGV  1 token  2 p  3 dead-letter json  4 'p:normal'  5 'outbox', 'answer' or 'none'  6 key of the apology
--       7 its entry  8 n handled  9 ids of its messages  10 detail for the audit  then n inbox entries
-- uses  untold
-- returns {1 done | 2 was done before | 0 lease lost, messages left}
if redis.call('GET', KEYS[1]) ~= ARGV[1] then return {0, redis.call('LLEN', KEYS[2])} end
local now, n = now_ms(), tonumber(ARGV[8])
for i = 11, 10 + n do
  if redis.call('LREM', KEYS[2], 1, ARGV[i]) == 0 and i == 11 then return {2, redis.call('LLEN', KEYS[2])} end
end
redis.call('LPUSH', KEYS[4], ARGV[3])
redis.call('LTRIM', KEYS[4], 0, 9999)
if ARGV[5] == 'outbox' then
  redis.call('RPUSH', KEYS[5], ARGV[7])
  redis.call('HSET', ARGV[6], 'kind', 'reply', 'state', 'queued', 'since', now, 'box', ARGV[4])
  redis.call('EXPIRE', ARGV[6], 691200)
  redis.call('ZADD', KEYS[6], 'NX', now, ARGV[4])
elseif ARGV[5] == 'answer' then
  redis.call('RPUSH', ARGV[6], ARGV[7])
  redis.call('EXPIRE', ARGV[6], 120)
end
redis.call('DEL', KEYS[7])
local left = redis.call('LLEN', KEYS[2])
if left == 0 then redis.call('ZREM', KEYS[3], ARGV[2]) end
waits_from_now(ARGV[2], left)
count('dead_total|kind=message')
audit('given_up', ARGV[2], ARGV[9], ARGV[10])
return {1, left}
