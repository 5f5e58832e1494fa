-- Meta accepted a delivery. True whoever holds the lease by now, so no token is asked for.
-- uses  audit
-- KEYS  1 delivery:{id}  2 outbox:{p}:{lane}  3 sent:{wamid}
-- ARGV  1 wamid  2 entry  3 delivery id  4 seconds to remember  5 p
if redis.call('HGET', KEYS[1], 'state') ~= 'sent' then
  count('sends_total|outcome=sent')
  audit('sent', ARGV[5], ARGV[3])
end
redis.call('HSET', KEYS[1], 'state', 'sent', 'wamid', ARGV[1], 'since', now_ms())
redis.call('SET', KEYS[3], ARGV[3], 'EX', ARGV[4])
redis.call('LREM', KEYS[2], 1, ARGV[2])
return 1
