-- Claims a key unless it is settled, or claimed with another token. If it is claimed with the
-- same token, the client repeats a call whose reply it has not got.
-- KEYS: the key. ARGV: token, lease in ms, grace in ms.
-- Returns {"", 0} if it was claimed, else {state, ms until that ends}.
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local held = redis.call('HMGET', KEYS[1], 'state', 'until', 'token')
local again = held[1] == 'claimed' and held[3] == ARGV[1]
if held[1] and tonumber(held[2]) > now and not again then
  return {held[1], tonumber(held[2]) - now}
end
-- A full server refuses only the first write of a script, and only if that may take memory. So
-- HSET is the first here, and in extend.lua and settle.lua it is not.
redis.call('HSET', KEYS[1], 'state', 'claimed', 'token', ARGV[1], 'until', now + ARGV[2])
redis.call('HDEL', KEYS[1], 'reason')
-- The hash outlives the lease, so that the claim can still be settled.
redis.call('PEXPIRE', KEYS[1], ARGV[2] + ARGV[3])
return {'', 0}
