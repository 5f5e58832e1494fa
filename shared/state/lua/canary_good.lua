-- A canary came through to the send.
-- KEYS  1 canary
-- ARGV  1 when its message was accepted, ms
local now = now_ms()
redis.call('HSET', KEYS[1], 'good_ms', now, 'took_ms', math.max(0, now - ARGV[1]))
return 1
