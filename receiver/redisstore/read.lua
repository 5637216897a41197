-- Reads a generation number. A number that is absent, because it was never bumped or
-- was lost, becomes the time, so that no old number returns.
-- KEYS: the counter.
local number = redis.call('GET', KEYS[1])
if not number then
  local time = redis.call('TIME')
  number = string.format('%.0f', time[1] * 1000 + math.floor(time[2] / 1000))
  -- For 30 days, because readers may ask for names that nobody has. Then the time takes its place.
  redis.call('SET', KEYS[1], number, 'PX', 2592000000)
end
return number
