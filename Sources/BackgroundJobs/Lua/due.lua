-- due: the periodic jobs whose time has come, the earliest first. Writes nothing.
--
-- KEYS  1 <ns>:queues
-- ARGV  1 namespace   2 how many at most (100)   3 how many of the first to leave out
-- Returns { now, ms until the next one behind these is due ('' if there is none), { name, when it was due, exp, tz, que, cls,
--       mis, unt }, … }; in place of the fields from exp on a sentence where its key is of a wrong type. An error reply where
--       `crons` is.

local sound, fault = exists_as('zset', crons)
if not sound then return redis.error_reply('WRONGTYPE ' .. fault) end
local time = string.format('%.0f', now)
local found = redis.call('ZRANGEBYSCORE', crons, '-inf', time, 'WITHSCORES', 'LIMIT', tonumber(ARGV[3]), tonumber(ARGV[2]))
local next_one = redis.call('ZRANGEBYSCORE', crons, '(' .. time, '(' .. never, 'WITHSCORES', 'LIMIT', 0, 1)
local wait = next_one[2] and whole(next_one[2])
local reply = { time, wait and string.format('%.0f', tonumber(wait) - now) or '' }
for i = 1, #found, 2 do
    local entry = { found[i], whole(found[i + 1]) }
    local fields, wrong = look('HMGET', key('cron', found[i]), 'exp', 'tz', 'que', 'cls', 'mis', 'unt')
    if fields then
        for j = 1, 6 do entry[#entry + 1] = fields[j] or '' end
    else
        entry[#entry + 1] = key('cron', found[i]) .. ': ' .. wrong
    end
    reply[#reply + 1] = entry
end
return reply
