-- Add entries that a consumer holds to the stream again as new ones, so that any waiting worker claims them at once.
-- They are marked as requeued: a new id does not make them a second copy of their job.
-- KEYS: 1 the job stream
-- ARGV: 1 group, 2 consumer, 3 'all' (then the consumer is deleted, too) or an entry id
local moved = 0
local all = ARGV[3] == 'all'
local from, to, count = ARGV[3], ARGV[3], 1
if all then from, to, count = '-', '+', 1000 end
local held = redis.call('XPENDING', KEYS[1], ARGV[1], from, to, count, ARGV[2])
for _, pending in ipairs(held) do
  local id = pending[1]
  for _, entry in ipairs(redis.call('XRANGE', KEYS[1], id, id)) do
    local fields = entry[2]
    if #fields == 2 then fields = {fields[1], fields[2], 'again', '1'} end
    redis.call('XADD', KEYS[1], '*', unpack(fields))
    moved = moved + 1
  end
  redis.call('XACK', KEYS[1], ARGV[1], id)
  redis.call('XDEL', KEYS[1], id)
end
-- Deleting a consumer drops its pending entries: only when there are none.
if all and #held < count then redis.call('XGROUP', 'DELCONSUMER', KEYS[1], ARGV[1], ARGV[2]) end
return moved
