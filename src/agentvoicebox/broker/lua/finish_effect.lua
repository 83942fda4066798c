-- A call of a tool with side effects has ended: keep its output, the first one. It outlives its session by a time to live.
-- KEYS: 1 hash of the session's side effects, 2 the session
-- ARGV: 1 field, 2 output, 3 ttl s
redis.call('HSETNX', KEYS[1], ARGV[1], ARGV[2])
if redis.call('EXISTS', KEYS[2]) == 1 then redis.call('PERSIST', KEYS[1]) else redis.call('EXPIRE', KEYS[1], ARGV[3]) end
return 1
