-- Reserve a slot in each of several sets for a session, or renew its slots, or report which set is full.
-- KEYS: 1 the tenant's slots, 2 the key's, 3 the secret's, if it was opened with one (sorted sets: session and the time in ms at
--       which its slot expires)
-- ARGV: 1 session, 2 lifetime of a slot in ms, 3… the limit of each set ('' for none)
-- Returns {0 or the index of the full one, slots in use of the tenant, of the key, ms until the oldest of the full one expires}.
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local taken = {}
for index, key in ipairs(KEYS) do
  local has_slot = redis.call('ZSCORE', key, ARGV[1])
  redis.call('ZREMRANGEBYSCORE', key, '-inf', now)
  taken[index] = redis.call('ZCARD', key)
  local limit = tonumber(ARGV[index + 2])
  if not has_slot and limit and taken[index] >= limit then
    local oldest = redis.call('ZRANGE', key, 0, 0, 'WITHSCORES')
    return {index, taken[1], taken[2] or 0, oldest[2] and math.floor(oldest[2] - now) or tonumber(ARGV[2])}
  end
end
for index, key in ipairs(KEYS) do
  taken[index] = taken[index] + redis.call('ZADD', key, string.format('%d', now + ARGV[2]), ARGV[1])
  redis.call('PEXPIRE', key, ARGV[2])
end
return {0, taken[1], taken[2], 0}
