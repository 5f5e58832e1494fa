-- May we write to this patient unasked today? Meta allows so many different people in 24 hours.
-- KEYS  1 contacted zset p -> when we last wrote unasked (ms)  2 address:{p}
-- ARGV  1 p  2 people allowed in 24 hours
-- returns 1 yes, and counted | 0 the limit is reached
local now = now_ms()
local day = 86400000
if now - tonumber(redis.call('HGET', KEYS[2], 'wrote_ms') or 0) < day then return 1 end -- they wrote: it is not unasked
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', now - day)
local known = redis.call('ZSCORE', KEYS[1], ARGV[1])
if not known and redis.call('ZCARD', KEYS[1]) >= tonumber(ARGV[2]) then return 0 end
redis.call('ZADD', KEYS[1], now, ARGV[1])
return 1
