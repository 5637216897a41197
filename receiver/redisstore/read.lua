-- Reads a generation number. One that is absent, since it was never bumped or
-- was lost, starts at the time: a number that was replaced never comes back.
-- KEYS: the counter.
local number = redis.call('GET', KEYS[1])
if not number then
  local time = redis.call('TIME')
  number = string.format('%.0f', time[1] * 1000 + math.floor(time[2] / 1000))
  redis.call('SET', KEYS[1], number)
end
return number
