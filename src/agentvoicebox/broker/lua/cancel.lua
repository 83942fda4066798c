-- Cancel a job: mark its fence and notify the workers. A job that is done or deleted is not changed.
-- KEYS: 1 the job's fence, 2 the session
-- ARGV: 1 cancel channel, 2 job id, 3 owner ('' for no check)
local owner = redis.call('HGET', KEYS[2], 'owner')
if ARGV[3] ~= '' and owner and owner ~= ARGV[3] then return -3 end
if redis.call('EXISTS', KEYS[1]) == 0 then return 0 end
if redis.call('HEXISTS', KEYS[1], 'done') == 1 then return 0 end
redis.call('HSET', KEYS[1], 'cancelled', '1')
redis.call('PUBLISH', ARGV[1], ARGV[2])
return 1
