-- Note a delivery status. It only moves forward, and it settles a send whose outcome was unknown.
-- KEYS  1 sent:{hash of wamid}  2 outgoing  3 dead
-- ARGV  1 delivery id or ''  2 status  3 error code or ''
-- uses  delivery:{id}, calls, audit
-- returns {1 noted, delivery id, ids of the messages that it answers} | {0 not ours or not forward, delivery id}
local id = ARGV[1] ~= '' and ARGV[1] or redis.call('GET', KEYS[1])
if not id then count('statuses_total|status=foreign') return {0, ''} end
local key = 'delivery:' .. id
if redis.call('EXISTS', key) == 0 then count('statuses_total|status=foreign') return {0, id} end
local rank = {sent = 1, delivered = 2, read = 3, played = 4}
local f = redis.call('HMGET', key, 'status', 'state', 'box', 'kind', 'covers')
local before, state, p = f[1], f[2], string.match(f[3] or '', '^[^:]*')
if ARGV[2] == 'failed' then
  if before == 'failed' or (rank[before or ''] or 0) > 1 then return {0, id} end
else
  if before == 'failed' or (rank[ARGV[2]] or 0) <= (rank[before or ''] or 0) then return {0, id} end
end
redis.call('HSET', key, 'status', ARGV[2])
if ARGV[3] ~= '' then redis.call('HSET', key, 'code', ARGV[3]) end
if state == 'sending' or state == 'unknown' then
  redis.call('HSET', key, 'state', ARGV[2] == 'failed' and 'failed' or 'sent', 'since', now_ms())
  if state == 'unknown' then
    count('settled_by_status_total')
  elseif ARGV[2] ~= 'failed' then -- the status overtook the answer to the send (sent.lua), which then finds it done
    count('sends_total|outcome=sent')
    audit('sent', p, id)
  end
  if f[3] then redis.call('ZADD', string.match(f[3], ':reminder$') and 'reminders' or KEYS[2], now_ms(), f[3]) end -- the next in the outbox need not wait any longer
end
audit('status', p, id, {status = ARGV[2], code = ARGV[3]})
if ARGV[2] == 'failed' and f[4] == 'reminder' then
  call_about(id, p, 'reminder', 'failed', ARGV[3])
elseif ARGV[2] == 'failed' and f[4] ~= 'notice' then
  redis.call('LPUSH', KEYS[3], cjson.encode({delivery = id, box = f[3], kind = f[4], code = ARGV[3], why = 'status', at = now_ms()}))
  redis.call('LTRIM', KEYS[3], 0, 9999)
  count('dead_total|kind=status')
end
if f[4] == 'reminder' and (rank[ARGV[2]] or 0) > 1 and redis.call('HDEL', 'calls', id) == 1 then
  audit('call_settled', p, id) -- it arrived after all: nobody need call
end
count('statuses_total|status=' .. ARGV[2])
return {1, id, f[5] or ''}
