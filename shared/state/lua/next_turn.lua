-- Take the patient whose turn is due longest, as due.lua does: for a thread that has just ended another's.
-- KEYS  1 waiting
-- ARGV  1 ms until it is rung again
-- returns the patient, or false
local now = now_ms()
local patient = redis.call('ZRANGEBYSCORE', KEYS[1], '-inf', now, 'LIMIT', 0, 1)[1]
if patient then redis.call('ZADD', KEYS[1], now + ARGV[1], patient) end
return patient or false
