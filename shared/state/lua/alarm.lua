-- Queue the fixed reply to one danger message, once, ahead of everything else, and hand the patient to staff.
-- KEYS  1 alarmed:{message_id}  2 handoff:{p}  3 outbox:{p}:urgent (or answer:{message_id})  4 outgoing
--       5 delivery:{id}  6 alarm:{alarm_id}  7 alarms
-- ARGV  1 seconds to remember  2 hand-off json  3 seconds of hand-off  4 entry to push  5 'p:urgent' or '' for chat
--       6 ms until the sweep rings, if the caller does not  7 kind of the delivery  8 level
--       9 alarm id  10 category  11 when it was written  12 next rung of the ladder  13 ms until then  14 seconds to keep
-- uses  handoffs, raised zsets, audit
-- returns 1 queued | 0 was queued before
if not redis.call('SET', KEYS[1], '1', 'NX', 'EX', ARGV[1]) then return 0 end
redis.call('SET', KEYS[2], ARGV[2], 'EX', ARGV[3])
local p = string.match(KEYS[2], ':(.*)$')
redis.call('ZADD', 'handoffs', now_ms() + ARGV[3] * 1000, p)
redis.call('RPUSH', KEYS[3], ARGV[4])
if ARGV[5] == '' then
  redis.call('EXPIRE', KEYS[3], 120)
else
  local now = now_ms()
  redis.call('HSET', KEYS[5], 'kind', ARGV[7], 'state', 'queued', 'since', now, 'box', ARGV[5],
    'covers', string.match(KEYS[1], ':(.*)$'))
  redis.call('EXPIRE', KEYS[5], 691200)
  redis.call('ZADD', KEYS[4], 'NX', now + ARGV[6], ARGV[5])
end
-- Until a person acknowledges it, the watch tells the next ones on the ladder.
local raised = now_ms()
redis.call('HSET', KEYS[6], 'patient', p, 'category', ARGV[10], 'level', ARGV[8], 'at', ARGV[11],
  'raised_ms', string.format('%d', raised), 'rung', ARGV[12])
redis.call('EXPIRE', KEYS[6], ARGV[14])
redis.call('ZADD', KEYS[7], raised + ARGV[13], ARGV[9])
redis.call('ZADD', 'raised', raised, ARGV[9])
redis.call('ZREMRANGEBYSCORE', 'raised', '-inf', raised - ARGV[14] * 1000)
count('danger_total|level=' .. ARGV[8])
audit('alarm', p, string.match(KEYS[1], ':(.*)$') .. ' ' .. string.match(KEYS[5], ':(.*)$'), ARGV[2])
return 1
