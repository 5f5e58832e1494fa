-- Shared by all scripts. Times are milliseconds of the Redis server's clock: one clock for all hosts.
local function now_ms()
  local t = redis.call('TIME')
  return t[1] * 1000 + math.floor(t[2] / 1000)
end
local function count(name, by) redis.call('HINCRBY', 'metrics', name, by or 1) end
-- Redis was away (or every worker): nobody swept for so long. Statuses of that time may lie in a webhook's spool, so that
-- sends of unknown end wait anew from when it is back, and from each portion of a spool (back.lua).
local AWAY_MS = 5000
local function back_ms(now)
  local swept = tonumber(redis.call('GET', 'swept') or now)
  if now - swept > AWAY_MS then return now end
  return tonumber(redis.call('GET', 'redis_back') or 0)
end
local function note_back(now) redis.call('SET', 'redis_back', now, 'EX', 3600) end
local function note_sweep(now)
  local swept = tonumber(redis.call('GET', 'swept') or 0)
  if swept > 0 and now - swept > AWAY_MS then note_back(now) end
  if now - swept >= 1000 or now < swept then redis.call('SET', 'swept', now) end
end
-- Append to the audit what happened to these messages or deliveries (ids, space separated) of patient p. Never a text.
local function audit(event, p, ids, detail)
  if type(detail) == 'table' then detail = cjson.encode(detail) end
  redis.call('XADD', 'audit', '*', 'e', event, 'p', p, 'ids', ids, 'd', detail or '')
end
-- One line on the staff call list, whoever writes it and however often; nobody calls the canary.
local function call_staff(id, line)
  if line.patient and line.patient == redis.call('HGET', 'canary', 'patient') then return end
  if redis.call('HSETNX', 'calls', id, cjson.encode(line)) == 1 then
    count('calls_total|why=' .. (line.why or ''))
    audit('call', line.patient or '', id, {why = line.why, code = line.code})
  end
end
-- The line for a delivery that did not reach its patient; a reminder brings its visit along in the field `call`.
local function call_about(id, p, kind, why, code)
  local brought = redis.call('HGET', 'delivery:' .. id, 'call')
  local line = brought and cjson.decode(brought) or {}
  line.patient, line.kind, line.why, line.at = p, line.kind or kind, why, now_ms()
  if code and code ~= '' then line.code = tostring(code) end
  call_staff(id, line)
end
-- Something of p was answered: whatever is left waits from now on, and may be told so once more.
local function waits_from_now(p, left)
  if left == 0 then redis.call('ZREM', 'untold', p) else redis.call('ZADD', 'untold', now_ms(), p) end
end
