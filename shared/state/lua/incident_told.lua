-- Note that staff were told of an incident; nothing when it was closed meanwhile.
-- KEYS  1 incident:{kind}
-- ARGV  1 opened_ms of the incident that was told  2 how often it had been seen  3 now ms
if redis.call('HGET', KEYS[1], 'opened_ms') == ARGV[1] then
  redis.call('HSET', KEYS[1], 'told_ms', ARGV[3], 'told_count', ARGV[2])
end
return 1
