-- Reminders that should have arrived by now: those that did not go on the staff call list.
-- KEYS  1 unconfirmed zset delivery id -> when it must have arrived (ms)
-- ARGV  1 at most so many
-- returns how many were looked at
local due = redis.call('ZRANGEBYSCORE', KEYS[1], '-inf', now_ms(), 'LIMIT', 0, ARGV[1])
for _, id in ipairs(due) do
  redis.call('ZREM', KEYS[1], id)
  local f = redis.call('HMGET', 'delivery:' .. id, 'status', 'state', 'box')
  local arrived = f[1] == 'delivered' or f[1] == 'read' or f[1] == 'played'
  -- Dropped: the visit was moved or cancelled, or the patient wants none. Failed: on the list already.
  if f[2] and not arrived and f[2] ~= 'dropped' and f[2] ~= 'failed' then
    call_about(id, string.match(f[3] or '', '^[^:]*'), 'reminder', 'not_delivered')
  end
end
return #due
