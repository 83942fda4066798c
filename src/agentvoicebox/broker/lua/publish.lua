-- Publish the next result of a job, if the publisher still holds it.
-- KEYS: 1 the job's fence, 2 the result stream, 3 the utterance's audio (deleted with the last result)
-- ARGV: 1 attempt, 2 nonce of this publication, 3 '1' when last, 4 channel (sharded, of the same slot), 5 stream bound, 6 ttl s, 7 result bytes
-- A fence without a time to live belongs to an open session, and so does the stream.
-- Returns the sequence number, -1 when the claim is lost, -2 when the job is cancelled.
local fence = redis.call('HMGET', KEYS[1], 'attempt', 'sequence', 'nonce', 'cancelled', 'done')
if not fence[1] then return -1 end
-- The answer to an earlier try was lost with its connection: the result is published already.
if fence[3] == ARGV[2] then return tonumber(fence[2]) end
if fence[4] then return -2 end
if fence[5] or fence[1] ~= ARGV[1] then return -1 end
local sequence = tonumber(fence[2]) + 1
local raw = struct.pack('>I4', sequence) .. ARGV[7]
local id = redis.call('XADD', KEYS[2], 'MAXLEN', '~', ARGV[5], '*', 'r', raw)
redis.call('HSET', KEYS[1], 'sequence', sequence, 'nonce', ARGV[2])
if sequence == 1 then redis.call('HSET', KEYS[1], 'first', id) end
if ARGV[3] == '1' then
  redis.call('HSET', KEYS[1], 'done', '1')
  redis.call('DEL', KEYS[3])
end
if redis.call('TTL', KEYS[1]) < 0 then
  redis.call('PERSIST', KEYS[2])
else
  redis.call('EXPIRE', KEYS[1], ARGV[6])
  redis.call('EXPIRE', KEYS[2], ARGV[6])
end
redis.call('SPUBLISH', ARGV[4], struct.pack('B', #id) .. id .. raw)
return sequence
