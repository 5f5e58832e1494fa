-- Choose patients who have waited too long and were not told yet; of these, who came last first: the others are nearer
-- to their turn. Once a second for all workers together, so that telling never takes much from answering.
-- KEYS  1 untold zset   p -> since when it waits (ms)  2 notices_rung string
-- ARGV  1 ms that are too long  2 at most so many  3 ms until one who could not be told is looked at again
-- uses  inbox:{p}
-- returns flat: p, the entry at the head of its inbox, ms that this has waited
local now = now_ms()
local found = redis.call('ZREVRANGEBYSCORE', KEYS[1], now - ARGV[1], '-inf', 'LIMIT', 0, ARGV[2])
local taken = {}
if #found == 0 or not redis.call('SET', KEYS[2], '1', 'NX', 'PX', 1000) then return taken end
for _, p in ipairs(found) do
  local head = redis.call('LINDEX', 'inbox:' .. p, 0)
  local came = head and tonumber(string.match(head, '^%d+'))
  if not came then
    redis.call('ZREM', KEYS[1], p)
  elseif came > now - ARGV[1] then
    redis.call('ZADD', KEYS[1], came, p) -- what it waited for was answered by a release that did not know this clock
  else
    redis.call('ZADD', KEYS[1], now - ARGV[1] + ARGV[3], p)
    table.insert(taken, p)
    table.insert(taken, head)
    table.insert(taken, string.format('%d', now - came))
  end
end
return taken
