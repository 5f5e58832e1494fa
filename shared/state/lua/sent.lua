-- Meta accepted a delivery. True whoever holds the lease by now, so no token is asked for.
-- uses  audit, meta_took
-- KEYS  1 delivery:{id}  2 outbox:{p}:{lane}  3 sent:{hash of wamid}
-- ARGV  1 entry  2 delivery id  3 seconds to remember  4 p  5 '1': Meta itself took it (the canary stops at our door)
if redis.call('HGET', KEYS[1], 'state') ~= 'sent' then
  count('sends_total|outcome=sent')
  audit('sent', ARGV[4], ARGV[2])
end
redis.call('HSET', KEYS[1], 'state', 'sent', 'since', now_ms())
redis.call('SET', KEYS[3], ARGV[2], 'EX', ARGV[3])
redis.call('LREM', KEYS[2], 1, ARGV[1])
if ARGV[5] == '1' then redis.call('SET', 'meta_took', now_ms(), 'EX', 86400) end -- what is unknown may be tried again
return 1
