-- Submit a job: write its fence and, where one server has both, add the job to its stream in the same step.
-- Does nothing when the job's session has another owner, or when the job was submitted before.
-- KEYS: 1 the session, 2 the job's fence, 3 the session's job ids, 4 the job stream (left out in a cluster: it is in another slot)
-- ARGV: 1 owner ('' for no check), 2 ttl s of a fence without a session, 3 job id ('' when it outlives its session), 4 the job (with the stream)
-- Returns 1 when the fence is new, 2 when it existed and no attempt has begun, 0 when one has, -3 when the session has another owner.
local owner = redis.call('HGET', KEYS[1], 'owner')
if ARGV[1] ~= '' and owner and owner ~= ARGV[1] then return -3 end
local attempt = redis.call('HGET', KEYS[2], 'attempt')
if attempt == '0' then return 2 end
if attempt then return 0 end
redis.call('HSET', KEYS[2], 'attempt', '0', 'sequence', '0')
if ARGV[3] ~= '' then redis.call('SADD', KEYS[3], ARGV[3]) end
if owner and ARGV[3] ~= '' then
  redis.call('PERSIST', KEYS[3])
else
  redis.call('EXPIRE', KEYS[2], ARGV[2])
  redis.call('EXPIRE', KEYS[3], ARGV[2])
end
if KEYS[4] then redis.call('XADD', KEYS[4], '*', 'j', ARGV[4]) end
return 1
