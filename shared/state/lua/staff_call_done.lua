-- A person did a line of the staff call list.
-- KEYS  1 calls
-- ARGV  1 id of the line  2 by
-- returns 1 done | 0 it was gone
local line = redis.call('HGET', KEYS[1], ARGV[1])
if not line then return 0 end
redis.call('HDEL', KEYS[1], ARGV[1])
local readable, content = pcall(cjson.decode, line)
if not readable or type(content) ~= 'table' then content = {} end
audit('call_done', content.patient or '', ARGV[1], {by = ARGV[2], why = content.why})
return 1
