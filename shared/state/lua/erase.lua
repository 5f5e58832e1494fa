-- Remove what was found of one person, all in one step, as long as nobody else has them in hand.
-- KEYS  the leases of the patient and of each lane
-- ARGV  their tokens  then the commands, a JSON list of lists of strings
-- returns 1 done, the leases are given back | 0 a lease was lost: nothing was touched
for i, key in ipairs(KEYS) do
  if redis.call('GET', key) ~= ARGV[i] then return 0 end
end
for _, command in ipairs(cjson.decode(ARGV[#KEYS + 1])) do redis.call(unpack(command)) end
for _, key in ipairs(KEYS) do redis.call('DEL', key) end
return 1
