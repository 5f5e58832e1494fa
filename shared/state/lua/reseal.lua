-- Replace values by the same under another key, where they still are what was read; their expiry stays.
-- KEYS  1 the key that holds them
-- ARGV  1 'string', 'hash' or 'list'  2 lease under which somebody may hold the items in memory, '' for none
--       then pairs: old, new; of a hash triples: field, old, new
-- returns how many were replaced | -1 they are in somebody's hands
if ARGV[2] ~= '' and redis.call('EXISTS', ARGV[2]) == 1 then return -1 end
local done = 0
if ARGV[1] == 'hash' then
  for i = 3, #ARGV, 3 do
    if redis.call('HGET', KEYS[1], ARGV[i]) == ARGV[i + 1] then
      redis.call('HSET', KEYS[1], ARGV[i], ARGV[i + 2])
      done = done + 1
    end
  end
elseif ARGV[1] == 'string' then
  if redis.call('GET', KEYS[1]) == ARGV[3] then
    redis.call('SET', KEYS[1], ARGV[4], 'KEEPTTL')
    done = 1
  end
else
  for i = 3, #ARGV, 2 do
    local at = redis.call('LPOS', KEYS[1], ARGV[i])
    if at then
      redis.call('LSET', KEYS[1], at, ARGV[i + 1])
      done = done + 1
    end
  end
end
return done
