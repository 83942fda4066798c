-- Heartbeat: reset the idle time of entries that this consumer still holds. Entries of other consumers are not changed.
-- KEYS: 1 the job stream
-- ARGV: 1 group, 2 consumer, 3… entry ids
local mine = 0
for i = 3, #ARGV do
  local pending = redis.call('XPENDING', KEYS[1], ARGV[1], ARGV[i], ARGV[i], 1, ARGV[2])
  if #pending > 0 then
    redis.call('XCLAIM', KEYS[1], ARGV[1], ARGV[2], 0, ARGV[i], 'JUSTID')
    mine = mine + 1
  end
end
return mine
