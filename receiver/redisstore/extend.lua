-- Makes the lease of a claim end later. A claim that is settled does not change.
-- KEYS: the key. ARGV: token, lease in ms, grace in ms. Returns 1, or 0 if stale.
local held = redis.call('HMGET', KEYS[1], 'state', 'token')
if held[2] ~= ARGV[1] then
  return 0
end
if held[1] ~= 'claimed' then
  return 1
end
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
redis.call('HSET', KEYS[1], 'until', now + ARGV[2])
redis.call('PEXPIRE', KEYS[1], ARGV[2] + ARGV[3])
return 1
