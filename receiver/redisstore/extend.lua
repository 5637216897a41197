-- Makes the lease of a claim end later. A claim that is settled does not change.
-- KEYS: the key. ARGV: token, lease in ms, grace in ms. Returns 1, or 0 if stale.
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local held = redis.call('HMGET', KEYS[1], 'state', 'token', 'until')
if held[2] ~= ARGV[1] then
  return 0
end
if held[1] ~= 'claimed' then
  -- In the millisecond in which it expires Redis still has the key.
  return tonumber(held[3]) > now and 1 or 0
end
-- PEXPIRE comes first, because a full server refuses HSET as the first write of a script.
redis.call('PEXPIRE', KEYS[1], ARGV[2] + ARGV[3])
redis.call('HSET', KEYS[1], 'until', now + ARGV[2])
return 1
