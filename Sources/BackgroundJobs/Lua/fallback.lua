-- fallback: jobs that wait for a node that is not there go back to the head of `ready`, for any node to take.
--
-- KEYS  1 <ns>:queues
-- ARGV  1 namespace   2 the place: <queue>:on:<name> or <queue>:avoid:<name>
--       3 ms for which no worker that may run them has been connected   4 how many to look at (500)   5 rank to start at
-- Returns { IDs moved, kept, more }: kept is how many of those looked at have to wait (start behind them next time); more
--       is 1 if there are others behind. An error reply where a key is of a wrong type: nothing was moved.
--
-- A job waits as long as it says (`fbk`, ms or `never`; else 10 s), counted from when it was put there, and as long as there
-- has been nobody. One without a readable hash is moved too: the claim that meets it says what is wrong.
--
-- Twice is harmless: an ID is pushed only if this call took it out of the list.

local place, absent = ARGV[2], tonumber(ARGV[3])
local limit, from = tonumber(ARGV[4]), tonumber(ARGV[5])
local queue = string.match(place, '^([^:]*):')
local list, ready = key('placed', place), key('ready', queue)
local sound, fault = exists_as('list', list, ready)
if sound then sound, fault = exists_as('set', prefix .. 'places') end
if not sound then return redis.error_reply('WRONGTYPE ' .. fault) end

local ids = redis.call('LRANGE', list, from, from + limit - 1)
local moved, is_over = {}, {}
for _, job in ipairs(ids) do
    local fields = look('HMGET', key('jobs', job), 'fbk', 'plt', 'cls')
    local wait = fields and (number(fields[1]) or 10000) or 0
    is_over[job] = not fields or not fields[3]
        or fields[1] ~= 'never' and absent >= wait and now - (number(fields[2]) or 0) >= wait
end
relieve()
-- The last one is pushed first, so that their order is kept.
for i = #ids, 1, -1 do
    local job = ids[i]
    if is_over[job] and redis.call('LREM', list, 1, job) == 1 then
        if look('HGET', key('jobs', job), 'cls') then
            redis.call('HSET', key('jobs', job), 'pla', 'any')
            redis.call('HDEL', key('jobs', job), 'plt')
        end
        redis.call('LPUSH', ready, job)
        moved[#moved + 1] = job
    end
end
if redis.call('LLEN', list) == 0 then redis.call('SREM', prefix .. 'places', place) end
return { moved, #ids - #moved, #ids == limit and 1 or 0 }
