-- Save a snapshot and drop the inputs that it covers, unless the session has another owner.
-- KEYS: 1 the session, 2 the snapshot, 3 the log
-- ARGV: 1 owner ('' for no check), 2 ttl s without a session, 3 oldest log entry to keep, 4… fields and values of the snapshot
local owner = redis.call('HGET', KEYS[1], 'owner')
if ARGV[1] ~= '' and owner and owner ~= ARGV[1] then return 0 end
redis.call('HSET', KEYS[2], unpack(ARGV, 4))
if owner then redis.call('PERSIST', KEYS[2]) else redis.call('EXPIRE', KEYS[2], ARGV[2]) end
redis.call('XTRIM', KEYS[3], 'MINID', ARGV[3])
return 1
