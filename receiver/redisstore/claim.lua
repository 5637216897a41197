-- Claims a key unless it is claimed or settled.
-- KEYS: the key. ARGV: token, lease in ms, grace in ms.
-- Returns {"", 0} if it was claimed, else {state, ms until that ends}.
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local held = redis.call('HMGET', KEYS[1], 'state', 'until')
if held[1] and tonumber(held[2]) > now then
  return {held[1], tonumber(held[2]) - now}
end
redis.call('DEL', KEYS[1])
redis.call('HSET', KEYS[1], 'state', 'claimed', 'token', ARGV[1], 'until', now + ARGV[2])
-- The hash outlives the lease, so that the claim can still be settled.
redis.call('PEXPIRE', KEYS[1], ARGV[2] + ARGV[3])
return {'', 0}
