-- promote: the jobs in `scheduled` that are due go to the tail of `ready`, in the order of their times.
--
-- KEYS  1 <ns>:queues
-- ARGV  1 namespace   2 queue   3 how many at most (500)
-- Returns { IDs moved, ms until the next one is due ('' if there is none, 0 if more are due now) }. An error reply where
--       one of the two keys is of a wrong type: nothing was moved.
--
-- Twice is harmless: an ID is pushed in the step that takes it out of `scheduled`.

local queue = ARGV[2]
local scheduled, ready = key('scheduled', queue), key('ready', queue)
local sound, fault = exists_as('zset', scheduled)
if sound then sound, fault = exists_as('list', ready) end
if not sound then return redis.error_reply('WRONGTYPE ' .. fault) end

local due = redis.call('ZRANGEBYSCORE', scheduled, '-inf', now, 'LIMIT', 0, tonumber(ARGV[3]))
if #due > 0 then
    redis.call('ZREM', scheduled, unpack(due))
    redis.call('RPUSH', ready, unpack(due))
end
local next_one = redis.call('ZRANGE', scheduled, 0, 0, 'WITHSCORES')
local wait = ''
if next_one[2] then
    local score = tonumber(next_one[2])
    wait = string.format('%.0f', math.max(0, math.min((score or 0) - now, 9007199254740992)))
end
return { due, wait }
