-- Reserve a slot of the tenant and one of the key for a session, or renew its slots, or report which of the two is full.
-- KEYS: 1 the tenant's slots, 2 the key's (sorted sets: session and the time in ms at which its slot expires)
-- ARGV: 1 session, 2 the tenant's limit ('' for none), 3 the key's, 4 lifetime of a slot in ms
-- Returns {0 or the index of the full one, slots in use of the tenant, of the key, ms until the oldest of the full one expires}.
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local has_slot = redis.call('ZSCORE', KEYS[1], ARGV[1])
local taken = {}
for index, key in ipairs(KEYS) do
  redis.call('ZREMRANGEBYSCORE', key, '-inf', now)
  taken[index] = redis.call('ZCARD', key)
  local limit = tonumber(ARGV[index + 1])
  if not has_slot and limit and taken[index] >= limit then
    local oldest = redis.call('ZRANGE', key, 0, 0, 'WITHSCORES')
    return {index, taken[1], taken[2] or 0, oldest[2] and math.floor(oldest[2] - now) or tonumber(ARGV[4])}
  end
end
for index, key in ipairs(KEYS) do
  taken[index] = taken[index] + redis.call('ZADD', key, string.format('%d', now + ARGV[4]), ARGV[1])
  redis.call('PEXPIRE', key, ARGV[4])
end
return {0, taken[1], taken[2], 0}
