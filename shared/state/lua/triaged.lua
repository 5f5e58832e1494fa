-- Note that patients' messages were searched for danger, up to the newest one that was read.
-- KEYS  1 fresh  zset   p -> newest message not yet searched
-- ARGV  pairs: p, received ms of the newest message read
for i = 1, #ARGV, 2 do
  local newest = redis.call('ZSCORE', KEYS[1], ARGV[i])
  if newest and tonumber(newest) <= tonumber(ARGV[i + 1]) then redis.call('ZREM', KEYS[1], ARGV[i]) end
end
return 1
