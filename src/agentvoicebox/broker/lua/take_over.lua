-- Take a session over from the owner it was seen with. Of several who try, one does. A session of a newer format is left alone.
-- KEYS: 1 the session
-- ARGV: 1 owner it was seen with, 2 owner from now on, 3 store's time until which it lives, 4 newest format that the new owner reads, 5 format it writes
-- Returns {1 taken, 0 another was faster, -1 the format is too new; the format}. The format never falls while the session lives.
local fields = redis.call('HMGET', KEYS[1], 'owner', 'format')
local owner, format = fields[1], tonumber(fields[2] or '0') or 0
if owner == ARGV[2] then return {1, format} end
if not owner or owner ~= ARGV[1] then return {0, format} end
if format > tonumber(ARGV[4]) then return {-1, format} end
format = math.max(format, tonumber(ARGV[5]))
redis.call('HSET', KEYS[1], 'owner', ARGV[2], 'until', ARGV[3], 'format', string.format('%d', format))
redis.call('PERSIST', KEYS[1])
return {1, format}
