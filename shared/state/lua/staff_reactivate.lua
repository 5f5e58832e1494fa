-- A patient who had opted out asked a person for messages again.
-- KEYS  1 optout:{p}  2 optouts
-- ARGV  1 p  2 detail for the audit
-- returns 1 messages again | 0 there was no opt-out
local listed = redis.call('ZREM', KEYS[2], ARGV[1])
if redis.call('DEL', KEYS[1]) + listed == 0 then return 0 end
audit('reactivated', ARGV[1], '', ARGV[2])
return 1
