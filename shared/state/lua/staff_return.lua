-- A person gives a patient back to the assistant.
-- KEYS  1 handoff:{p}  2 handoffs
-- ARGV  1 p  2 detail for the audit
-- returns 1 given back | 0 the assistant had the patient already
redis.call('ZREM', KEYS[2], ARGV[1])
if redis.call('DEL', KEYS[1]) == 0 then return 0 end
audit('returned', ARGV[1], '', ARGV[2])
return 1
