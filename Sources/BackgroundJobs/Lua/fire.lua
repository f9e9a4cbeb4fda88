-- fire: periodic jobs whose time has come are enqueued, and their next time is set.
--
-- KEYS  1 <ns>:queues
-- ARGV  1 namespace
--       then for each, 10: name, when it is due, the time it is fired for ('' it is passed over), the next time ('' there is
--       none), exp, tz, mis and unt by which these were found ('' none), ID of the new job, why it ends where there is no
--       next time
-- Returns a verdict for each: 'fired' | 'skipped' (the job before has not ended) | 'passed' | 'rested' (it is paused or has
--       ended) | 'taken' (it no longer is due at that time, or has been declared anew) | 'early' | a sentence that says what is
--       damaged
--
-- Twice is harmless: each is fired only while it is due at the time that was judged, and that time is moved on in the same
-- step; so of any number of watchers one fires it.

local function move_on(name, next_time, reason)
    redis.call('ZADD', crons, next_time ~= '' and next_time or never, name)
    if next_time == '' then redis.call('HSET', key('cron', name), 'end', reason) end
end

-- Whether its last job has not ended; nil and a sentence where nobody can tell.
local function is_under_way(fields)
    if fields.ovl ~= 'skip' or not present(fields.las) then return false end
    local state = look_at_waiting(fields.las)
    if type(state) == 'table' then return nil, state.err end
    return state == 'waiting' or state == 'running'
end

local function fire(name, due, time, next_time, expression, zone, missed, until_, job, reason)
    local score = redis.call('ZSCORE', crons, name)
    if not score or whole(score) ~= due then return 'taken' end
    if tonumber(due) > now then return 'early' end
    local fields, is_there = read_periodic(name)
    if not fields then return is_there end
    if (fields.exp or '') ~= expression or (fields.tz or '') ~= zone then return 'taken' end
    if (fields.mis or '') ~= missed or (fields.unt or '') ~= until_ then return 'taken' end
    if fields.pau == '1' or present(fields['end']) then
        redis.call('ZADD', crons, never, name)
        return 'rested'
    end
    if time == '' then
        move_on(name, next_time, reason)
        return 'passed'
    end
    local limit = number(fields.cnt)
    if fields.cnt and not limit then return key('cron', name) .. ': cnt is no number: ' .. shown(fields.cnt) end
    local sound, fault = may_enqueue(name, fields, job)
    if not sound then return fault end
    local busy
    busy, fault = is_under_way(fields)
    if busy == nil then return fault end
    local cron = key('cron', name)
    if busy then
        redis.call('HSET', cron, 'ski', string.format('%.0f', (number(fields.ski) or 0) + 1))
        move_on(name, next_time, reason)
        return 'skipped'
    end
    local fired = (number(fields.fis) or 0) + 1
    if limit and fired >= limit then next_time, reason = '', 'count' end
    enqueue_for(name, fields, job, time)
    redis.call('HSET', cron, 'lat', time, 'fis', string.format('%.0f', fired))
    move_on(name, next_time, reason)
    return 'fired'
end

local sound, fault = exists_as('zset', crons)
if not sound then return redis.error_reply('WRONGTYPE ' .. fault) end
local verdicts = {}
for at = 2, #ARGV, 10 do
    verdicts[#verdicts + 1] = fire(unpack(ARGV, at, at + 9))
end
return verdicts
