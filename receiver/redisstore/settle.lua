-- Settles a claim, or settles it once more.
-- KEYS: the key. ARGV: token, "done" or "dead", ms to remember, reason.
-- Returns 1, or 0 if stale.
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local held = redis.call('HMGET', KEYS[1], 'state', 'token', 'until')
if held[2] ~= ARGV[1] or (held[1] ~= 'claimed' and held[1] ~= ARGV[2]) then
  return 0
end
-- In the millisecond in which it expires Redis still has the key.
if held[1] ~= 'claimed' and tonumber(held[3]) <= now then
  return 0
end
-- PEXPIRE comes first, because a full server refuses HSET as the first write of a script. With 0
-- it would remove the key, and HSET would make one that stays for ever.
redis.call('PEXPIRE', KEYS[1], math.max(ARGV[3], 1))
redis.call('HSET', KEYS[1], 'state', ARGV[2], 'until', now + ARGV[3], 'reason', ARGV[4])
return 1
