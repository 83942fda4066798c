-- Age of the oldest unclaimed job, in ms; 0 when there is none.
-- KEYS: 1 the job stream
-- ARGV: 1 group
if redis.call('EXISTS', KEYS[1]) == 0 then return 0 end
local last = '0-0'
for _, group in ipairs(redis.call('XINFO', 'GROUPS', KEYS[1])) do
  local fields = {}
  for i = 1, #group, 2 do fields[group[i]] = group[i + 1] end
  if fields['name'] == ARGV[1] then last = fields['last-delivered-id'] end
end
local waiting = redis.call('XRANGE', KEYS[1], '(' .. last, '+', 'COUNT', 1)
if #waiting == 0 then return 0 end
local now = redis.call('TIME')
local since_ms = tonumber(string.match(waiting[1][1], '^(%d+)'))
return math.max(0, tonumber(now[1]) * 1000 + math.floor(tonumber(now[2]) / 1000) - since_ms)
