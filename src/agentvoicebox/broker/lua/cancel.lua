-- Cancel a job: mark its fence and tell the workers. A job that is over or forgotten stays so.
-- KEYS: 1 the job's fence
-- ARGV: 1 cancel channel, 2 job id
if redis.call('EXISTS', KEYS[1]) == 0 then return 0 end
if redis.call('HEXISTS', KEYS[1], 'done') == 1 then return 0 end
redis.call('HSET', KEYS[1], 'cancelled', '1')
redis.call('PUBLISH', ARGV[1], ARGV[2])
return 1
