-- Write down a session's fields and that it lives, unless it has another owner by now.
-- KEYS: 1 the session
-- ARGV: 1 owner, 2 ttl s, 3… fields and values
local owner = redis.call('HGET', KEYS[1], 'owner')
if owner and owner ~= ARGV[1] then return 0 end
redis.call('HSET', KEYS[1], 'owner', ARGV[1], unpack(ARGV, 3))
redis.call('EXPIRE', KEYS[1], ARGV[2])
return 1
