-- Take a dead letter off the list for good.
-- KEYS  1 dead
-- ARGV  1 the letter's line  2 p or ''  3 ids of its messages and delivery, space separated  4 detail for the audit
-- returns 1 dropped | 0 it was gone
if redis.call('LREM', KEYS[1], 1, ARGV[1]) == 0 then return 0 end
audit('dropped', ARGV[2], ARGV[3], ARGV[4])
return 1
