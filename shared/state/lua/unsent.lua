-- A delivery was not (or perhaps) sent: back to the queue, unknown, or failed.
-- KEYS  1 delivery:{id}  2 outbox:{p}:{lane}  3 outgoing  4 dead  5 lease:{p}:{lane}
-- ARGV  1 token  2 entry  3 'queued', 'unknown', 'failed' or 'dropped'  4 'p:lane'  5 ms until the next try  6 code or ''
--       7 dead-letter json, when failed  8 p  9 delivery id  10 why it was dropped
--       11 '1': what a dropped reminder claimed is free again
-- uses  calls, audit. A reminder that failed goes on the call list: there is nothing to replay.
-- returns 1 done | 0 a status or another token settled it meanwhile
local f = redis.call('HMGET', KEYS[1], 'state', 'by')
if f[1] ~= 'sending' or f[2] ~= ARGV[1] then return 0 end
local now = now_ms()
redis.call('HSET', KEYS[1], 'state', ARGV[3], 'since', now)
if ARGV[6] ~= '' then redis.call('HSET', KEYS[1], 'code', ARGV[6]) end
if ARGV[6] == '131056' then redis.call('HINCRBY', KEYS[1], 'pair_refusals', 1) end -- each one's wait is four times the last
audit(ARGV[3], ARGV[8], ARGV[9], {code = ARGV[6], why = ARGV[10]})
if ARGV[3] == 'dropped' then
  redis.call('LREM', KEYS[2], 1, ARGV[2])
  local claim = redis.call('HGET', KEYS[1], 'claim')
  if claim and ARGV[11] == '1' then redis.call('DEL', claim) end -- the visit may be planned anew
elseif ARGV[3] == 'failed' and ARGV[7] == '' then
  redis.call('LREM', KEYS[2], 1, ARGV[2])
  call_about(ARGV[9], ARGV[8], 'reminder', ARGV[10], ARGV[6])
elseif ARGV[3] == 'failed' then
  redis.call('LREM', KEYS[2], 1, ARGV[2])
  redis.call('LPUSH', KEYS[4], ARGV[7])
  redis.call('LTRIM', KEYS[4], 0, 9999)
  count('dead_total|kind=delivery')
elseif redis.call('GET', KEYS[5]) == ARGV[1] then
  redis.call('DEL', KEYS[5])
  redis.call('ZADD', KEYS[3], now + ARGV[5], ARGV[4])
end
count('sends_total|outcome=' .. ARGV[3])
return 1
