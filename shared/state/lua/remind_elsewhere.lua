-- Claim the reminder of one visit for a program that sends it itself, once; nothing is put into an outbox.
-- KEYS  1 reminded:{appointment}:{start}:{kind}  2 delivery:{id}  3 unconfirmed
-- ARGV  1 seconds to remember  2 what the claim holds: unique to this call  3 delivery id  4 p
--       5 when it must have arrived, ms  6 line for the call list should it not arrive  7 detail for the audit
-- returns 1 claimed, also when this call is repeated | 0 claimed before by somebody
if not redis.call('SET', KEYS[1], ARGV[2], 'NX', 'EX', ARGV[1]) then
  return redis.call('GET', KEYS[1]) == ARGV[2] and 1 or 0
end
redis.call('HSET', KEYS[2], 'kind', 'reminder', 'state', 'sent', 'since', now_ms(), 'box', ARGV[4] .. ':reminder',
  'call', ARGV[6], 'covers', '')
redis.call('EXPIRE', KEYS[2], 691200)
redis.call('ZADD', KEYS[3], ARGV[5], ARGV[3])
count('reminders_total|outcome=planned')
audit('planned', ARGV[4], ARGV[3], ARGV[7])
return 1
