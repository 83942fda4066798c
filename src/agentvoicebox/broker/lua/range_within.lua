-- Read entries of a stream until together they have a number of bytes: the one that crosses it is the last.
-- KEYS: 1 the stream
-- ARGV: 1 XRANGE or XREVRANGE, 2 where to begin, 3 where to end, 4 entries at most, 5 bytes
-- Returns the entries.
local found, bytes, from = {}, 0, ARGV[2]
while #found < tonumber(ARGV[4]) and bytes < tonumber(ARGV[5]) do
  local entry = redis.call(ARGV[1], KEYS[1], from, ARGV[3], 'COUNT', 1)[1]
  if not entry then break end
  for _, part in ipairs(entry[2]) do bytes = bytes + #part end
  found[#found + 1] = entry
  from = '(' .. entry[1]
end
return found
