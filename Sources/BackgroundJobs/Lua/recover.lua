-- recover, give back: IDs that a blocked worker was woken with and nobody claimed go back to the head of `ready`.
--
-- KEYS  1 <ns>:queues
-- ARGV  1 namespace   2 queue   3 … the IDs, in the order in which they stood in `handoff`
-- Returns the IDs moved. An error reply where one of the two keys is of a wrong type: nothing was moved.
--
-- Twice is harmless: an ID is pushed only if this call took it out of `handoff`. The last one is pushed first, so that
-- their order is kept.

local queue = ARGV[2]
local handoff, ready = key('handoff', queue), key('ready', queue)
local sound, fault = exists_as('list', handoff, ready)
if not sound then return redis.error_reply('WRONGTYPE ' .. fault) end

local moved = {}
for i = #ARGV, 3, -1 do
    if redis.call('LREM', handoff, 1, ARGV[i]) == 1 then
        redis.call('LPUSH', ready, ARGV[i])
        moved[#moved + 1] = ARGV[i]
    end
end
return moved
