-- Claim entries of a dead consumer until together they have a number of bytes: the one that crosses it is the last.
-- KEYS: 1 the job stream
-- ARGV: 1 group, 2 consumer, 3 least idle time in ms, 4 bytes, 5… entry ids
-- Returns {how many of the ids were looked at, the entries}.
local found, bytes = {}, 0
for i = 5, #ARGV do
  if bytes >= tonumber(ARGV[4]) then return {i - 5, found} end
  for _, entry in ipairs(redis.call('XCLAIM', KEYS[1], ARGV[1], ARGV[2], ARGV[3], ARGV[i])) do
    if entry and entry[2] then
      for _, part in ipairs(entry[2]) do bytes = bytes + #part end
      found[#found + 1] = entry
    end
  end
end
return {#ARGV - 4, found}
