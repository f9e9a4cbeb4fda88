-- pause, resume: nothing is claimed from these queues any more, or again.
--
-- KEYS  1 <ns>:queues
-- ARGV  1 namespace   2 pause | resume   3 … queues
-- Returns those that were not so before. An error reply where `paused` is of a wrong type: nothing was changed.
--
-- Twice is harmless: the second changes nothing.

local sound, fault = exists_as('set', prefix .. 'paused')
if not sound then return redis.error_reply('WRONGTYPE ' .. fault) end
-- To pause is what helps a Redis without memory, so it has to be let through.
relieve()
local changed = {}
for i = 3, #ARGV do
    if redis.call(ARGV[2] == 'pause' and 'SADD' or 'SREM', prefix .. 'paused', ARGV[i]) == 1 then
        changed[#changed + 1] = ARGV[i]
    end
end
return changed
