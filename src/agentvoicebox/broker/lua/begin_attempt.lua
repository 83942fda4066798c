-- Begin an attempt: increment the fence, so that the previous holder of the job can't publish any more.
-- KEYS: 1 the job's fence
-- ARGV: 1 '1' if a missing fence means that the job has ended, 2 attempts allowed, 3 ttl s ('' when it lives with its session), 4 original entry id ('' when requeued)
-- Returns {verdict, attempt, records published so far}; verdict is go, over (done or deleted), cancelled, spent, twin
-- (the job is in the stream twice, and the other entry is the valid one), or damaged (the fence holds no numbers).
local fence = redis.call('HMGET', KEYS[1], 'attempt', 'sequence', 'cancelled', 'done', 'entry')
if fence[4] or (not fence[1] and ARGV[1] == '1') then return {'over', 0, 0} end
for index = 1, 2 do
  if fence[index] and not string.match(fence[index], '^%d+$') then return {'damaged', 0, 0} end
end
if ARGV[4] ~= '' and fence[5] and fence[5] ~= ARGV[4] then return {'twin', 0, 0} end
if fence[3] then return {'cancelled', 0, 0} end
local attempt = redis.call('HINCRBY', KEYS[1], 'attempt', 1)
redis.call('HSETNX', KEYS[1], 'sequence', 0)
if ARGV[4] ~= '' then redis.call('HSET', KEYS[1], 'entry', ARGV[4]) end
if ARGV[3] ~= '' then redis.call('EXPIRE', KEYS[1], ARGV[3]) end
local verdict = 'go'
if attempt > tonumber(ARGV[2]) then verdict = 'spent' end
return {verdict, attempt, tonumber(fence[2] or '0')}
