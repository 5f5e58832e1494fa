-- Close a turn: handled messages out, conversation stored, replies into the outbox. All or nothing.
-- Refused when the lease is no longer ours. Run again after a lost answer it finds its messages gone and stops.
-- KEYS  1 lease:{p}  2 inbox:{p}  3 waiting  4 conversation:{p}  5 outbox:{p}:normal  6 outgoing
--       7 handoff:{p}  8 optout:{p}  9 delay:{p}  10 consent:{p}
-- ARGV  1 token  2 p  3 conversation json  4 conversation seconds  5 'p:normal'  6 ms until the sweep rings
--       7 hand-off json, '' to leave  8 its seconds  9 opt-out: '', '1' (out), '0' (back)
--       10 counters, space separated  11 id of a line for the staff call list or ''  12 the line
--       13 consent json, '' to leave  14 ids of messages and replies, space separated  15 detail for the audit
--       16 n handled  then n inbox entries
--       then per reply: 'outbox' or 'answer', key (delivery:{id} or answer:{message_id}), kind, entry, ids it covers
-- uses  handoffs, optouts, untold zsets; calls; audit
-- returns {1 done | 2 was done before | 0 lease lost, messages left in the inbox}
if redis.call('GET', KEYS[1]) ~= ARGV[1] then return {0, redis.call('LLEN', KEYS[2])} end
local now, n = now_ms(), tonumber(ARGV[16])
for i = 17, 16 + n do
  if redis.call('LREM', KEYS[2], 1, ARGV[i]) == 0 then
    if i == 17 then return {2, redis.call('LLEN', KEYS[2])} end
  end
end
redis.call('SET', KEYS[4], ARGV[3], 'EX', ARGV[4])
if ARGV[7] ~= '' then
  redis.call('SET', KEYS[7], ARGV[7], 'EX', ARGV[8])
  redis.call('ZADD', 'handoffs', now + ARGV[8] * 1000, ARGV[2])
end
-- Whoever has the patient can read what was said as long as they have them.
if redis.call('EXISTS', KEYS[7]) == 1 and tonumber(ARGV[4]) < tonumber(ARGV[8]) then
  redis.call('EXPIRE', KEYS[4], ARGV[8])
end
if ARGV[9] == '1' then
  redis.call('SET', KEYS[8], now)
  redis.call('ZADD', 'optouts', now, ARGV[2])
  redis.call('DEL', KEYS[10])
elseif ARGV[9] == '0' then
  redis.call('DEL', KEYS[8])
  redis.call('ZREM', 'optouts', ARGV[2])
end
if ARGV[13] ~= '' then redis.call('SET', KEYS[10], ARGV[13]) end
if ARGV[11] ~= '' then call_staff(ARGV[11], cjson.decode(ARGV[12])) end
local queued = false
for i = 17 + n, #ARGV, 5 do
  if ARGV[i] == 'answer' then
    redis.call('RPUSH', ARGV[i + 1], ARGV[i + 3])
    redis.call('EXPIRE', ARGV[i + 1], 120)
  else
    redis.call('RPUSH', KEYS[5], ARGV[i + 3])
    redis.call('HSET', ARGV[i + 1], 'kind', ARGV[i + 2], 'state', 'queued', 'since', now, 'box', ARGV[5],
      'covers', ARGV[i + 4])
    redis.call('EXPIRE', ARGV[i + 1], 691200)
    queued = true
  end
end
if queued then redis.call('ZADD', KEYS[6], 'NX', now + ARGV[6], ARGV[5]) end
redis.call('DEL', KEYS[9])
local left = redis.call('LLEN', KEYS[2])
if left == 0 then redis.call('ZREM', KEYS[3], ARGV[2]) end
waits_from_now(ARGV[2], left)
for name in string.gmatch(ARGV[10], '%S+') do count(name) end
audit('committed', ARGV[2], ARGV[14], ARGV[15])
return {1, left}
