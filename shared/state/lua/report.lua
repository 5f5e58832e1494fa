-- Move the state of a day's report on, if it stands where the caller believes.
-- KEYS  1 report:{date}
-- ARGV  1 the state that is expected, '' for none  2 the new state, '' for none  3 its milliseconds
-- returns 1 moved, now or by the same call before | 0 somebody else moved it
local state = redis.call('GET', KEYS[1]) or ''
if state ~= '' and state == ARGV[2] then return 1 end
if state ~= ARGV[1] then return 0 end
if ARGV[2] == '' then
  redis.call('DEL', KEYS[1])
else
  redis.call('SET', KEYS[1], ARGV[2], 'PX', ARGV[3])
end
return 1
