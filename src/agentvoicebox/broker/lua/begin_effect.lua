-- A call of a tool with side effects requests to begin. Returns the call that holds the effect.
--
-- KEYS[1]  hash of the session's side effects
-- KEYS[2]  the session: while it is there, its effects have no time to live
-- ARGV     call, same, response, nonce, now, until, ttl
--          call: digest of the call's id, name and arguments; same: digest of name and arguments alone
--
-- Fields: b:<call> "nonce until" (begun), o:<call> output (ended), s:<same> "response call" (the last call with the same effect).
-- Returns {holder's call digest, until of the holder, output or false}; the holder is ARGV[1] with until 0 when it may begin.
local call, same, response = ARGV[1], ARGV[2], ARGV[3]
local nonce, now, till = ARGV[4], tonumber(ARGV[5]), ARGV[6]

local function known(holder, begun)
  local ends = string.match(begun, ' (.+)$')
  return {holder, ends, redis.call('HGET', KEYS[1], 'o:' .. holder)}
end

local begun = redis.call('HGET', KEYS[1], 'b:' .. call)
if begun then
  if string.match(begun, '^%S+') == nonce then
    return {call, '0', false} -- this command, sent twice
  end
  return known(call, begun)
end

local twin = redis.call('HGET', KEYS[1], 's:' .. same)
if twin then
  local its_response, its_call = string.match(twin, '^(%S+) (%S+)$')
  local its_begun = redis.call('HGET', KEYS[1], 'b:' .. its_call)
  local is_under_way = redis.call('HEXISTS', KEYS[1], 'o:' .. its_call) == 0
    and now < tonumber(string.match(its_begun, ' (.+)$'))
  if its_response == response or is_under_way then
    return known(its_call, its_begun)
  end
end

redis.call('HSET', KEYS[1], 'b:' .. call, nonce .. ' ' .. till, 's:' .. same, response .. ' ' .. call)
if redis.call('EXISTS', KEYS[2]) == 1 then redis.call('PERSIST', KEYS[1]) else redis.call('EXPIRE', KEYS[1], ARGV[7]) end
return {call, '0', false}
