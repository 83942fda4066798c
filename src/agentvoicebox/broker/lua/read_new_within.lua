-- Read new entries for a consumer until together they have a number of bytes: the one that crosses it is the last. Never blocks.
-- KEYS: 1 the job stream
-- ARGV: 1 group, 2 consumer, 3 entries at most, 4 bytes
-- Returns the entries.
local found, bytes = {}, 0
while #found < tonumber(ARGV[3]) and bytes < tonumber(ARGV[4]) do
  local answer = redis.call('XREADGROUP', 'GROUP', ARGV[1], ARGV[2], 'COUNT', 1, 'STREAMS', KEYS[1], '>')
  if not answer then break end
  local entry = answer[1][2][1]
  for _, part in ipairs(entry[2]) do bytes = bytes + #part end
  found[#found + 1] = entry
end
return found
