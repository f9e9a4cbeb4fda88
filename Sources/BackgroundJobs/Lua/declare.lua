-- declare: periodic jobs are written, those that have not changed left as they stand; and those that their owner declared before
-- and no longer does are removed.
--
-- KEYS  1 <ns>:queues
-- ARGV  1 namespace   2 owner ('' by hand)   3 1 if these are all of the owner's: the others are removed
--       4 1 if one that has ended begins anew although it has not changed
--       then for each: name, when it is due first, the number of its fields, their names and values in turn
-- Returns { a verdict for each, the names of those removed }
--       verdict: 'added' | 'changed' | 'unchanged' | 'foreign:<owner>' (it is another's; nothing was written) | a sentence that
--       says what is damaged
--
-- Twice is harmless: the second time nothing has changed. What is written begins with a removal, so that a Redis that is out of
-- memory takes it: what programs declare is small.

local owner = ARGV[2]

local function is_same(found, wanted)
    for field, value in pairs(wanted) do
        if found[field] ~= value then return false end
    end
    for field in pairs(found) do
        if not standing[field] and not wanted[field] then return false end
    end
    return true
end

local function declare(name, first, wanted)
    local cron = key('cron', name)
    local found, is_there = read_periodic(name)
    if not found then return is_there end
    if is_there and (found.own or '') ~= owner then return 'foreign:' .. (found.own or '') end
    local rests = found.pau == '1' or present(found['end'])
    if is_there and is_same(found, wanted) and not (present(found['end']) and ARGV[4] == '1') then
        if not redis.call('ZSCORE', crons, name) then redis.call('ZADD', crons, rests and never or first, name) end
        return 'unchanged'
    end
    local record = {}
    for field, value in pairs(wanted) do record[#record + 1], record[#record + 2] = field, value end
    -- Not the whole hash: whether it is paused, and what was fired last, still hold.
    for field in pairs(found) do
        if not standing[field] and not wanted[field] then redis.call('HDEL', cron, field) end
    end
    redis.call('HDEL', cron, 'fis', 'end')
    redis.call('HSET', cron, unpack(record))
    redis.call('ZADD', crons, found.pau == '1' and never or first, name)
    return is_there and 'changed' or 'added'
end

local sound, fault = exists_as('zset', crons)
if not sound then return redis.error_reply('WRONGTYPE ' .. fault) end
local verdicts, removed, declared = {}, {}, {}
local at = 5
while at <= #ARGV do
    local count, wanted = tonumber(ARGV[at + 2]), {}
    for i = at + 3, at + 2 + 2 * count, 2 do wanted[ARGV[i]] = ARGV[i + 1] end
    declared[ARGV[at]] = true
    verdicts[#verdicts + 1] = declare(ARGV[at], ARGV[at + 1], wanted)
    at = at + 3 + 2 * count
end
if ARGV[3] == '1' then
    for _, name in ipairs(redis.call('ZRANGE', crons, 0, -1)) do
        if not declared[name] and look('HGET', key('cron', name), 'own') == owner then
            redis.call('ZREM', crons, name)
            redis.call('DEL', key('cron', name))
            removed[#removed + 1] = name
        end
    end
end
return { verdicts, removed }
