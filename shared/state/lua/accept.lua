-- Accept one message, once. A repeated call (Meta's or the client's own) changes nothing and names the patient.
-- KEYS  1 seen:{message_id}   string  was it accepted before
--       2 waiting             zset    p -> when to ring for a turn
--       3 fresh               zset    p -> oldest message not searched for danger
-- ARGV  1 message json  2 message id  3 seconds to remember it  4 quiet time of a burst, ms (0: answer now)
--       5 messages allowed per minute  6 number or ''  7 user id or ''  8 seconds to keep the address
--       9 ms when the patient wrote it, '' if it opens no window  10 detail for the audit
--       11.. candidate patient ids, the surest first (user id, then number)
-- uses  alias:{candidate}, address:{p}, inbox:{p}, rate:{p}, delay:{p}, untold, metrics
-- returns {1 accepted | 2 accepted, over the limit | 0 seen before, patient id}
local now = now_ms()
local p
for i = 11, #ARGV do
  p = p or redis.call('GET', 'alias:' .. ARGV[i])
end
p = p or ARGV[#ARGV]
if not redis.call('SET', KEYS[1], '1', 'NX', 'EX', ARGV[3]) then
  count('messages_total|outcome=duplicate')
  return {0, p}
end
for i = 11, #ARGV do
  if ARGV[i] ~= p then redis.call('SET', 'alias:' .. ARGV[i], p, 'EX', ARGV[8]) end
end
local address = 'address:' .. p
if ARGV[6] ~= '' then redis.call('HSET', address, 'number', ARGV[6]) end
if ARGV[7] ~= '' then redis.call('HSET', address, 'user_id', ARGV[7]) end
if ARGV[9] ~= '' and tonumber(ARGV[9]) > tonumber(redis.call('HGET', address, 'wrote_ms') or 0) then
  redis.call('HSET', address, 'wrote_ms', ARGV[9])
end
redis.call('EXPIRE', address, ARGV[8])

-- Sliding minute. A limiter that cannot count lets the message pass, and says so.
local over, due = false, now + ARGV[4]
local rate = 'rate:' .. p
local ok = redis.pcall('ZREMRANGEBYSCORE', rate, '-inf', now - 60000)
if type(ok) == 'table' and ok.err then
  count('rate_limit_failures_total')
else
  if redis.call('ZCARD', rate) >= tonumber(ARGV[5]) then
    over = true
    due = tonumber(redis.call('ZRANGE', rate, 0, 0, 'WITHSCORES')[2]) + 60000
  else
    redis.call('ZADD', rate, now, ARGV[2])
    redis.call('PEXPIRE', rate, 60000)
  end
end

local inbox = 'inbox:' .. p
if redis.call('RPUSH', inbox, string.format('%d|%s', now, ARGV[1])) == 1 then redis.call('ZADD', 'untold', now, p) end
redis.call('ZADD', KEYS[3], 'NX', now, p)
local delayed = redis.call('PTTL', 'delay:' .. p)
if delayed > 0 then
  redis.call('ZADD', KEYS[2], 'NX', now + delayed, p)
elseif over then
  redis.call('ZADD', KEYS[2], due, p)
else
  -- Silence ends a burst, but somebody who never pauses is answered too: after eight quiet times. Who writes again while
  -- many wait keeps the place that the oldest message has.
  local first = tonumber(string.match(redis.call('LINDEX', inbox, 0), '^%d+'))
  redis.call('ZADD', KEYS[2], math.min(due, first + 8 * ARGV[4]), p)
end
count(over and 'messages_total|outcome=over_limit' or 'messages_total|outcome=accepted')
audit('accepted', p, ARGV[2], ARGV[10])
return {over and 2 or 1, p}
