-- Take a session over from the owner it was seen with. Of several callers, one succeeds.
-- KEYS: 1 the session
-- ARGV: 1 owner it was seen with, 2 owner from now on, 3 ttl s
local owner = redis.call('HGET', KEYS[1], 'owner')
if owner == ARGV[2] then return 1 end
if not owner or owner ~= ARGV[1] then return 0 end
redis.call('HSET', KEYS[1], 'owner', ARGV[2])
redis.call('EXPIRE', KEYS[1], ARGV[3])
return 1
