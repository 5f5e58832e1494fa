-- Queue what a person wrote to a patient on the operators' page, once per form.
-- KEYS  1 delivery:{id}  2 outbox:{p}:normal  3 outgoing  4 handoff:{p}  5 address:{p}  6 written:{p}
-- ARGV  1 p  2 delivery id  3 entry  4 'p:normal'  5 ms until the sweep rings, if the caller does not  6 detail for the audit
--       7 line for `written`  8 seconds to keep it  9 ms of the window in which free text may be sent
-- returns 1 queued | 0 was queued before | -1 no person has the patient any more | -2 the window is closed
if redis.call('EXISTS', KEYS[1]) == 1 then return 0 end
if redis.call('EXISTS', KEYS[4]) == 0 then return -1 end
local now = now_ms()
if tonumber(redis.call('HGET', KEYS[5], 'wrote_ms') or 0) + ARGV[9] <= now then return -2 end
redis.call('HSET', KEYS[1], 'kind', 'reply', 'state', 'queued', 'since', now, 'box', ARGV[4], 'covers', '')
redis.call('EXPIRE', KEYS[1], 691200)
redis.call('RPUSH', KEYS[2], ARGV[3])
redis.call('ZADD', KEYS[3], 'NX', now + ARGV[5], ARGV[4])
redis.call('RPUSH', KEYS[6], ARGV[7])
redis.call('LTRIM', KEYS[6], -50, -1)
redis.call('EXPIRE', KEYS[6], ARGV[8])
audit('written', ARGV[1], ARGV[2], ARGV[6])
return 1
