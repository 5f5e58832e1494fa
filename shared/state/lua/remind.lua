-- Claim the reminder of one visit and put it into the patient's outbox, once, to be sent when it is due.
-- KEYS  1 reminded:{appointment}:{start}:{kind}  2 outbox:{p}:reminder  3 reminders  4 delivery:{id}  5 unconfirmed
-- ARGV  1 seconds to remember  2 entry  3 'p:reminder'  4 due, ms  5 delivery id  6 when it must have arrived, ms
--       7 line for the call list should it fail
-- returns 1 planned | 0 was planned before
if not redis.call('SET', KEYS[1], ARGV[5], 'NX', 'EX', ARGV[1]) then return 0 end
redis.call('RPUSH', KEYS[2], ARGV[2])
redis.call('DEL', KEYS[4]) -- of the same visit and start, planned before and dropped
redis.call('HSET', KEYS[4], 'kind', 'reminder', 'state', 'queued', 'since', now_ms(), 'box', ARGV[3],
  'claim', KEYS[1], 'call', ARGV[7], 'covers', '')
redis.call('EXPIRE', KEYS[4], 691200)
redis.call('ZADD', KEYS[3], 'LT', ARGV[4], ARGV[3])
redis.call('ZADD', KEYS[5], ARGV[6], ARGV[5])
count('reminders_total|outcome=planned')
audit('planned', string.match(ARGV[3], '^[^:]*'), ARGV[5], ARGV[7])
return 1
