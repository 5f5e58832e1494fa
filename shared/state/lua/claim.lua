-- Choose what to send next from one lane of a patient's outbox, and mark it `sending` by this token.
-- KEYS  1 lease:{p}:{lane}  2 outbox:{p}:{lane}  3 outgoing or reminders  4 throughput  5 handoff:{p}  6 paced:{p}
--       7 reminder_pace
-- ARGV  1 token  2 'p:lane'  3 ms that an unknown send waits for its status  4 p  5 ms of throughput that a message takes
--       6 ms that lie between two reminders
-- uses  delivery:{id} hash {kind, state, by, since, code, attempts, resends, lit, pair_refusals, call}; inbox:{p}; calls;
--       audit; metrics; meta_took, swept, redis_back
-- An unknown send (crash, timeout, 5xx) waits for its status. Then, while Meta takes other messages, a reply goes once
-- more (often, if Meta itself said that it failed), danger again; while Meta takes nothing both are tried at growing
-- pauses; a reminder never. What is left goes on the call list: docs/reliability.md, "Sends whose end is unknown".
-- Once a person has the patient, a reply that was begun before is dropped: only what is marked `through_handoff` goes out.
-- A notice (lua/notice.lua) is sent only while its patient waits, and at most once: whatever stands behind it goes on.
-- returns {'send', entry, attempts, refusals for the pair rate} | {'empty'} | {'wait'} | {'lost'}
if redis.call('GET', KEYS[1]) ~= ARGV[1] then return {'lost'} end
local now = now_ms()
local is_reminder = string.match(ARGV[2], ':reminder$')
local handed_over = redis.call('EXISTS', KEYS[5]) == 1
local AGAIN = {reply = {most = 5, growth = 4}, danger = {most = 7, growth = 2}}
while true do
  local entry = redis.call('LINDEX', KEYS[2], 0)
  if not entry then
    redis.call('DEL', KEYS[1])
    redis.call('ZREM', KEYS[3], ARGV[2])
    return {'empty'}
  end
  local id = string.match(entry, '^[^|]+')
  local key = 'delivery:' .. id
  local f = redis.call('HMGET', key, 'state', 'by', 'since', 'kind', 'resends', 'code', 'lit', 'pair_refusals')
  local state, kind = f[1] or 'queued', f[4] or 'reply'
  if state == 'sending' and f[2] == ARGV[1] then
    return {'send', entry, tonumber(redis.call('HGET', key, 'attempts')), tonumber(f[8] or 0)}
  end
  if state == 'sending' then
    redis.call('HSET', key, 'state', 'unknown', 'since', now)
    count('unknown_sends_total|kind=' .. kind)
    audit('unknown', ARGV[4], id)
    state, f[3] = 'unknown', now
  end
  if kind == 'notice' and (state == 'queued' or state == 'unknown') then
    local why = handed_over and 'handoff' or state == 'unknown' and 'unknown'
      or (redis.call('LLEN', KEYS[2]) > 1 or redis.call('EXISTS', 'inbox:' .. ARGV[4]) == 0) and 'answered'
    if why then
      redis.call('HSET', key, 'state', 'dropped', 'since', now)
      count('sends_total|outcome=dropped')
      audit('dropped', ARGV[4], id, {why = why})
      state = 'dropped'
    end
  end
  if handed_over and kind == 'reply' and (state == 'queued' or state == 'unknown')
    and not cjson.decode(string.match(entry, '|(.*)$')).through_handoff then
    redis.call('HSET', key, 'state', 'dropped', 'since', now)
    count('sends_total|outcome=dropped_under_handoff')
    audit('dropped', ARGV[4], id, {why = 'handoff'})
    state = 'dropped'
  end
  local send = state == 'queued'
  if state == 'unknown' then
    local resends, settle = tonumber(f[5] or 0), tonumber(ARGV[3])
    local again = AGAIN[kind] or {most = 0, growth = 1}
    local works = tonumber(redis.call('GET', 'meta_took') or 0) > tonumber(f[3])
    -- Silence while Meta worked is repeated once. An answer that says it failed, or silence while nothing works, proves less.
    local over = resends >= again.most or (kind == 'reply' and f[7] and not tonumber(f[6]))
    local since = kind == 'danger' and tonumber(f[3]) or math.max(tonumber(f[3]), back_ms(now))
    local left = since + settle * ((works or over) and 1 or again.growth ^ resends) - now
    if left > 0 then
      redis.call('DEL', KEYS[1])
      redis.call('ZADD', KEYS[3], now + math.min(left, settle), ARGV[2]) -- looks again: Meta may work by then
      return {'wait'}
    end
    if not over then
      redis.call('HINCRBY', key, 'resends', 1)
      if works then redis.call('HSET', key, 'lit', 1) end
      count('resends_total|kind=' .. kind)
      send = true
    else
      redis.call('HSET', key, 'state', 'failed', 'since', now, 'reason', 'unknown')
      call_about(id, ARGV[4], kind, 'unknown')
      count('sends_total|outcome=unsettled')
    end
  end
  local debt = math.max(0, tonumber(redis.call('GET', KEYS[6]) or 0) - now)
  if send and is_reminder then
    -- This patient got a message a moment ago: Meta allows one in six seconds, and what came faster is paid back.
    -- And doorbells that piled up while this process stood still must not leave it in one bunch.
    local spent = math.max(now, tonumber(redis.call('GET', KEYS[7]) or 0))
    local left = math.max(debt, spent - now - 10 * ARGV[6])
    if left > 0 then
      redis.call('DEL', KEYS[1])
      redis.call('ZADD', KEYS[3], now + left, ARGV[2])
      return {'wait'}
    end
    redis.call('SET', KEYS[7], spent + ARGV[6], 'PX', 60000)
  end
  if send then
    redis.call('HSET', key, 'state', 'sending', 'by', ARGV[1], 'since', now)
    redis.call('HDEL', key, 'code') -- of the try before
    redis.call('SET', KEYS[6], now + debt + 6000, 'PX', debt + 6000)
    if not is_reminder then -- a reminder's share was taken when it was rung (due.lua)
      redis.call('SET', KEYS[4], math.max(now, tonumber(redis.call('GET', KEYS[4]) or 0)) + ARGV[5], 'PX', 60000)
    end
    local attempts = redis.call('HINCRBY', key, 'attempts', 1)
    audit('sending', ARGV[4], id, {kind = kind, attempt = attempts})
    return {'send', entry, attempts, tonumber(f[8] or 0)}
  end
  redis.call('LPOP', KEYS[2]) -- the head that was just read: sent, failed or given up
end
