-- Append to a stream of a session, unless the session has another owner.
-- The stream lives as long as its session: it has a time to live only when there is no session.
-- KEYS: 1 the session, 2 the stream
-- ARGV: 1 owner ('' for no check), 2 ttl s without a session, 3 stream bound (0 for none), 4… fields and values
local owner = redis.call('HGET', KEYS[1], 'owner')
if ARGV[1] ~= '' and owner and owner ~= ARGV[1] then return -3 end
if ARGV[3] == '0' then
  redis.call('XADD', KEYS[2], '*', unpack(ARGV, 4))
else
  redis.call('XADD', KEYS[2], 'MAXLEN', '~', ARGV[3], '*', unpack(ARGV, 4))
end
if owner then redis.call('PERSIST', KEYS[2]) else redis.call('EXPIRE', KEYS[2], ARGV[2]) end
return 1
