-- Note that patients' messages were searched for danger, up to the newest one that was read.
-- KEYS  1 fresh  zset   p -> newest message not yet searched
-- ARGV  pairs: p, received ms of the newest message read (0: the inbox was empty, its messages were answered)
-- uses  inbox:{p}
for i = 1, #ARGV, 2 do
  local newest = redis.call('ZSCORE', KEYS[1], ARGV[i])
  local answered = redis.call('EXISTS', 'inbox:' .. ARGV[i]) == 0
  if newest and (answered or tonumber(newest) <= tonumber(ARGV[i + 1])) then redis.call('ZREM', KEYS[1], ARGV[i]) end
end
return 1
