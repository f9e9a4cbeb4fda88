-- trim: the oldest of `completed`, `failed`, `ended` or `dead` beyond the retention, a bounded step at a time.
--
-- KEYS  1 <ns>:queues
-- ARGV  1 namespace   2 queue   3 completed | failed | ended | dead
--       4 ms to keep ('' for ever)   5 number to keep ('' all)   6 how many to look at (500)   7 rank to start at
-- Returns { removed, kept, more, flat (member, sentence) of those that are damaged }: kept is how many of those looked at must stay (start behind
--       them next time); more is 1 if there is more to do. An error reply where the set is of a wrong type.
--
-- Twice is harmless: what is gone is not there any more.

local sound, fault = exists_as('zset', set_key)
if not sound then return redis.error_reply('WRONGTYPE ' .. fault) end

local excess = 0
if ARGV[5] ~= '' then excess = redis.call('ZCARD', set_key) - tonumber(ARGV[5]) end
if ARGV[4] ~= '' then
    excess = math.max(excess, redis.call('ZCOUNT', set_key, '-inf', string.format('%.0f', now - tonumber(ARGV[4]))))
end
local from, limit = tonumber(ARGV[7]), tonumber(ARGV[6])
local last = math.min(excess, from + limit) - 1
if last < from then return { 0, 0, 0, {} } end

local members = redis.call('ZRANGE', set_key, from, last)
relieve()
local gone = #remove(members)
return { gone, #members - gone, last + 1 < excess and 1 or 0, problems }
