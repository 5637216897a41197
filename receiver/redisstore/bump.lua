-- Makes a generation number larger.
-- KEYS: the counter. Returns OK.
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local last = tonumber(redis.call('GET', KEYS[1]) or 0)
-- It expires as in read.lua.
redis.call('SET', KEYS[1], string.format('%.0f', math.max(now, last + 1)), 'PX', 2592000000)
return redis.status_reply('OK')
