-- Shared by all scripts. Times are milliseconds of the Redis server's clock: one clock for all hosts.
local function now_ms()
  local t = redis.call('TIME')
  return t[1] * 1000 + math.floor(t[2] / 1000)
end
local function count(name, by) redis.call('HINCRBY', 'metrics', name, by or 1) end
