-- Stands in front of the scripts by which somebody takes a job out of its place (behind endings.lua).

-- Whether the list of the place that a job names can be searched.
local function sound_place(queue, place)
    if not present(place) then return true end
    local sound, fault = exists_as('list', key('placed', queue .. ':' .. place))
    if sound then sound, fault = exists_as('set', prefix .. 'places') end
    return sound, fault
end

-- What is to be known of a job that somebody wants to take out: 'waiting' and its fields, or 'missing' | 'running' |
-- 'ended', or an error reply that names what is damaged; then with its fields only if its own hash is sound.
local function look_at_waiting(job)
    local job_key = key('jobs', job)
    local fields, fault = look('HMGET', job_key, 'que', 'las', 'end', 'cls', 'blk', 'nxt', 'onf', 'bat', 'pla')
    if not fields then return redis.error_reply(fault) end
    local found = {
        queue = present(fields[1]), last = present(fields[2]), over = present(fields[3]), blocked = fields[5] == '1',
        next_job = fields[6], on_failure = fields[7], batch = fields[8], place = fields[9],
    }
    if not (fields[1] or fields[4]) or fields[3] == 'Dequeued' then return 'missing', found end
    if found.last then
        local record = look('HMGET', key('attempts', found.last), 'que', 'fin', 'err', 'nod') or {}
        local running_in = record[1] or found.queue
        if running_in then
            local running
            running, fault = look('SISMEMBER', key('processing', running_in), found.last)
            if not running then return redis.error_reply(fault), found end
            found.node = record[4]
            if running == 1 then return 'running', found end
        end
        found.last_queue = record[1]
        if present(record[2]) and not record[3] then return 'ended', found end
    end
    if found.over then return 'ended', found end
    if not found.queue then return redis.error_reply('ERR ' .. job_key .. ' has no field que: nothing tells where the job waits') end
    local sound
    sound, fault = exists_as('list', key('handoff', found.queue), key('ready', found.queue), key('suspects', found.queue))
    if sound then sound, fault = sound_place(found.queue, fields[9]) end
    if sound then sound, fault = exists_as('zset', key('scheduled', found.queue), key('ended', found.queue), key('dead', found.queue)) end
    if sound then sound, fault = sound_ties(fields[6], fields[7], fields[8]) end
    if not sound then return redis.error_reply('WRONGTYPE ' .. fault), found end
    return 'waiting', found
end

-- Whether all is sound that each job of a queue needs to be taken out of it.
local function sound_queue(queue)
    local sound, fault = exists_as('list', key('handoff', queue), key('ready', queue), key('suspects', queue))
    if sound then sound, fault = exists_as('zset', key('scheduled', queue), key('ended', queue), key('dead', queue)) end
    if sound then sound, fault = exists_as('set', key('processing', queue)) end
    return sound, fault
end

-- Takes a job's ID out of wherever it waits, lists longer than `longest` apart. Returns whether it was found.
local function take_out(job, queue, longest)
    local found = redis.call('ZREM', key('scheduled', queue), job)
    for _, kind in ipairs({ 'handoff', 'ready', 'suspects' }) do
        local list = key(kind, queue)
        if not longest or redis.call('LLEN', list) <= longest then
            found = found + redis.call('LREM', list, 0, job)
        end
    end
    local place = present(redis.call('HGET', key('jobs', job), 'pla'))
    if place and place ~= 'any' then
        place = queue .. ':' .. place
        local list = key('placed', place)
        if not longest or redis.call('LLEN', list) <= longest then
            found = found + redis.call('LREM', list, 0, job)
            if redis.call('LLEN', list) == 0 then redis.call('SREM', prefix .. 'places', place) end
            redis.call('HDEL', key('jobs', job), 'pla', 'plt')
        end
    end
    return found > 0
end
