-- Give a session one of its tenant's and its key's places, renew the one it has, or say which of the two is full.
-- KEYS: 1 the tenant's places, 2 the key's (sorted sets: session and the time in ms at which its place comes free by itself)
-- ARGV: 1 session, 2 the tenant's limit ('' for none), 3 the key's, 4 how long a place is kept in ms
-- Returns {0 or the index of the full one, places taken of the tenant's, of the key's, ms until the oldest of the full one is free}.
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local has_place = redis.call('ZSCORE', KEYS[1], ARGV[1])
local taken = {}
for index, key in ipairs(KEYS) do
  redis.call('ZREMRANGEBYSCORE', key, '-inf', now)
  taken[index] = redis.call('ZCARD', key)
  local limit = tonumber(ARGV[index + 1])
  if not has_place and limit and taken[index] >= limit then
    local oldest = redis.call('ZRANGE', key, 0, 0, 'WITHSCORES')
    return {index, taken[1], taken[2] or 0, oldest[2] and math.floor(oldest[2] - now) or tonumber(ARGV[4])}
  end
end
for index, key in ipairs(KEYS) do
  taken[index] = taken[index] + redis.call('ZADD', key, string.format('%d', now + ARGV[4]), ARGV[1])
  redis.call('PEXPIRE', key, ARGV[4])
end
return {0, taken[1], taken[2], 0}
