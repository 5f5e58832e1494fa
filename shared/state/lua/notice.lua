-- Tell one patient that we are still here: once until something of theirs is answered, and only who would be answered.
-- KEYS  1 untold  2 inbox:{p}  3 outbox:{p}:normal  4 outgoing  5 delivery:{id}  6 handoff:{p}  7 optout:{p}
--       8 address:{p}  9 fresh
-- ARGV  1 p  2 the entry that was at the head of the inbox  3 delivery id  4 its entry  5 'p:normal'
--       6 ms of the window in which free text may be sent  7 ids for the audit  8 detail for the audit
-- uses  canary, audit, metrics
-- returns 1 queued | 0 not now: answered or told meanwhile, not searched for danger, or a reply is on its way
--         -1 not at all: a person has the patient, opted out, window closed
if not redis.call('ZSCORE', KEYS[1], ARGV[1]) or redis.call('LINDEX', KEYS[2], 0) ~= ARGV[2] then return 0 end
if redis.call('ZSCORE', KEYS[9], ARGV[1]) or redis.call('EXISTS', KEYS[3]) == 1 then return 0 end
redis.call('ZREM', KEYS[1], ARGV[1])
local now = now_ms()
if redis.call('EXISTS', KEYS[6], KEYS[7]) > 0 or redis.call('HGET', 'canary', 'patient') == ARGV[1]
  or tonumber(redis.call('HGET', KEYS[8], 'wrote_ms') or 0) + ARGV[6] <= now then return -1 end
if redis.call('EXISTS', KEYS[5]) == 1 then return 0 end
redis.call('HSET', KEYS[5], 'kind', 'notice', 'state', 'queued', 'since', now, 'box', ARGV[5], 'covers', '')
redis.call('EXPIRE', KEYS[5], 691200)
redis.call('RPUSH', KEYS[3], ARGV[4])
redis.call('ZADD', KEYS[4], 'NX', now, ARGV[5])
count('notices_total')
audit('noticed', ARGV[1], ARGV[7], ARGV[8])
return 1
