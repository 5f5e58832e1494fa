-- One line on the staff call list, once per id.
-- ARGV  1 id  2 line, json
-- uses  calls, audit
local line = cjson.decode(ARGV[2])
line.at = line.at or now_ms()
call_staff(ARGV[1], line)
return 1
