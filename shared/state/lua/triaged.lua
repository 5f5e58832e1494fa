-- Note that patients' messages were searched for danger, up to the newest one that was read.
-- KEYS  1 fresh  zset   p -> oldest message not yet searched
-- ARGV  pairs: p, received ms of the newest message read (0: the inbox was empty, its messages were answered)
-- uses  inbox:{p}, rung:{p}
for i = 1, #ARGV, 2 do
  redis.call('DEL', 'rung:' .. ARGV[i])
  local newest = redis.call('LINDEX', 'inbox:' .. ARGV[i], -1)
  local came = newest and tonumber(string.match(newest, '^%d+'))
  if not came or came <= tonumber(ARGV[i + 1]) then
    redis.call('ZREM', KEYS[1], ARGV[i])
  else
    redis.call('ZADD', KEYS[1], 'XX', ARGV[i + 1] + 1, ARGV[i]) -- more came while we searched
  end
end
return 1
