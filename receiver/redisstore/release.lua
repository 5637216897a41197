-- Releases a claim.
-- KEYS: the key. ARGV: token. Returns 1, or 0 if stale.
local held = redis.call('HMGET', KEYS[1], 'state', 'token')
if held[1] ~= 'claimed' or held[2] ~= ARGV[1] then
  return 0
end
redis.call('DEL', KEYS[1])
return 1
