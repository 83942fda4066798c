-- Put up a job's fence, unless its session has another owner by now. A job without a fence is dropped by whoever claims it.
-- KEYS: 1 the session, 2 the job's fence, 3 the session's job ids
-- ARGV: 1 owner ('' for none asked), 2 ttl s, 3 job id
local owner = redis.call('HGET', KEYS[1], 'owner')
if ARGV[1] ~= '' and owner and owner ~= ARGV[1] then return -3 end
redis.call('HSETNX', KEYS[2], 'attempt', '0')
redis.call('HSETNX', KEYS[2], 'sequence', '0')
redis.call('EXPIRE', KEYS[2], ARGV[2])
redis.call('SADD', KEYS[3], ARGV[3])
redis.call('EXPIRE', KEYS[3], ARGV[2])
return 1
