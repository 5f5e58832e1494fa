-- Put the messages of a dead letter back into their patient's inbox, each at its place in time, with fresh tries.
-- KEYS  1 dead  2 inbox:{p}  3 waiting
-- ARGV  1 the letter's line  2 p  3 ids of its messages, space separated  4 detail for the audit  then its inbox entries
-- uses  tries:{message_id}; audit
-- returns 1 put back | 0 the letter is gone
if redis.call('LREM', KEYS[1], 1, ARGV[1]) == 0 then return 0 end
local waiting = redis.call('LRANGE', KEYS[2], 0, -1)
for i = 5, #ARGV do
  local came, after = tonumber(string.match(ARGV[i], '^%d+')), nil
  for _, entry in ipairs(waiting) do
    if tonumber(string.match(entry, '^%d+')) > came then after = entry break end
  end
  if after then redis.call('LINSERT', KEYS[2], 'BEFORE', after, ARGV[i])
  else redis.call('RPUSH', KEYS[2], ARGV[i]) end
end
for id in string.gmatch(ARGV[3], '%S+') do redis.call('DEL', 'tries:' .. id) end
redis.call('ZADD', KEYS[3], 'LT', now_ms(), ARGV[2])
audit('replayed', ARGV[2], ARGV[3], ARGV[4])
return 1
