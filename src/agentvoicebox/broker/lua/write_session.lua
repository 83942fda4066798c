-- Write a session's fields, renew its time to live, and publish a notice, unless it has another owner.
-- KEYS: 1 the session
-- ARGV: 1 owner, 2 ttl s, 3 channel, 4 notice ('' for none), 5… fields and values
local owner = redis.call('HGET', KEYS[1], 'owner')
if owner and owner ~= ARGV[1] then return 0 end
redis.call('HSET', KEYS[1], 'owner', ARGV[1], unpack(ARGV, 5))
redis.call('EXPIRE', KEYS[1], ARGV[2])
if ARGV[4] ~= '' then redis.call('PUBLISH', ARGV[3], ARGV[4]) end
return 1
