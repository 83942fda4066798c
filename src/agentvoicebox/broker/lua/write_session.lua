-- Write a session's fields and until when it lives, and publish a notice, unless it has another owner.
-- KEYS: 1 the session
-- It has no time to live, so that a full store does not evict it: the janitor deletes it. (An earlier version sets one.)
-- ARGV: 1 owner, 2 store's time until which it lives, 3 channel, 4 notice ('' for none), 5… fields and values
local owner = redis.call('HGET', KEYS[1], 'owner')
if owner and owner ~= ARGV[1] then return 0 end
redis.call('HSET', KEYS[1], 'owner', ARGV[1], 'until', ARGV[2], unpack(ARGV, 5))
redis.call('PERSIST', KEYS[1])
if ARGV[4] ~= '' then redis.call('PUBLISH', ARGV[3], ARGV[4]) end
return 1
