-- Give a lease back and, in the same step, look whether something came in meanwhile: nothing is stranded.
-- KEYS  1 lease  2 list (inbox or outbox)  3 zset (waiting or outgoing)
-- ARGV  1 token  2 member of the zset  3 ms until the next ring when the list is not empty
-- returns items left (0: the member was taken off the zset) | -1 the lease was not ours
if redis.call('GET', KEYS[1]) ~= ARGV[1] then return -1 end
redis.call('DEL', KEYS[1])
local left = redis.call('LLEN', KEYS[2])
if left == 0 then redis.call('ZREM', KEYS[3], ARGV[2])
else redis.call('ZADD', KEYS[3], now_ms() + ARGV[3], ARGV[2]) end
return left
