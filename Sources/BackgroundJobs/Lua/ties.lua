-- Stands in front of endings.lua: what the end of a job means for others. The next job of its chain, its batch, and whoever
-- awaits it.
--
-- A job that waits for another one, or for a batch, has `blk` and stands in no list. It is released once, by the script
-- that ends what it waits for.

-- A string as JSON.
local function quoted(text) return cjson.encode(text) end

-- Whether a job that waits can be pushed; nil and a sentence where a key is of a wrong type.
local function can_release(job)
    if not present(job) then return true end
    local fields, fault = look('HMGET', key('jobs', job), 'blk', 'que')
    if not fields then return nil, key('jobs', job) .. ': ' .. fault end
    if fields[1] ~= '1' then return true end
    -- Pushed to what is no queue, nobody would ever see it again.
    if not fields[2] or #fields[2] > 128 or not string.find(fields[2], '^[%w_.@-]+$') then
        return nil, key('jobs', job) .. ': que is no name of a queue'
    end
    local sound, wrong = exists_as('list', key('ready', fields[2]))
    if sound then sound, wrong = exists_as('zset', key('scheduled', fields[2])) end
    if sound then sound, wrong = exists_as('set', prefix .. 'queues') end
    return sound, wrong
end

-- The deepest nesting of batches.
local deepest = 16

-- Whether all that a job's end touches is sound.
local function sound_ties(next_job, on_failure, batch)
    local sound, fault = can_release(next_job)
    if sound then sound, fault = can_release(on_failure) end
    for _ = 1, deepest do
        if not sound or not present(batch) then break end
        local fields
        fields, fault = look('HMGET', key('batch', batch), 'cmp', 'scs', 'dth', 'prn')
        if not fields then return nil, key('batch', batch) .. ': ' .. fault end
        for i = 1, 3 do
            if sound then sound, fault = can_release(fields[i]) end
        end
        batch = fields[4]
    end
    return sound, fault
end

-- A job that waits goes to the tail of its queue, or is scheduled, with these further fields. One that waits no longer is
-- left alone.
local function release(job, ...)
    if not present(job) or not can_release(job) then return end
    local fields = redis.call('HMGET', key('jobs', job), 'blk', 'que', 'dly', 'exr')
    local queue = present(fields[2])
    if fields[1] ~= '1' or not queue then return end
    local delay, expiry = number(fields[3]) or 0, number(fields[4])
    local due = now + delay
    redis.call('HDEL', key('jobs', job), 'blk', 'dly', 'exr')
    redis.call('HSET', key('jobs', job), 'qat', now, ...)
    redis.call('PERSIST', key('jobs', job))
    if expiry then redis.call('HSET', key('jobs', job), 'exp', due + expiry) end
    if delay > 0 then
        redis.call('HSET', key('jobs', job), 'pat', due)
        redis.call('ZADD', key('scheduled', queue), due, job)
    else
        redis.call('RPUSH', key('ready', queue), job)
    end
    redis.call('SADD', prefix .. 'queues', queue)
end

-- Whoever awaits the job is told how it ended. `awaited` is there while anybody awaits anything.
local awaits = nil
local function anybody_awaits()
    if awaits == nil then awaits = redis.call('EXISTS', prefix .. 'awaited') == 1 end
    return awaits
end
local function notify(job, how, facts)
    if not anybody_awaits() then return end
    local listeners = look('SMEMBERS', key('awaited', job))
    if not listeners or #listeners == 0 then return end
    -- As whoever asks later is told.
    local note = '{"job":' .. quoted(job) .. ',"end":' .. quoted(how == 'Dequeued' and 'Missing' or how)
    for _, field in ipairs({ 'attempt', 'err', 'msg', 'out' }) do
        if present(facts[field]) then note = note .. ',"' .. field .. '":' .. quoted(facts[field]) end
    end
    note = note .. '}'
    for _, listener in ipairs(listeners) do
        local notes = key('notes', listener)
        if exists_as('list', notes) then
            redis.call('RPUSH', notes, note)
            -- Nobody takes them where the producer is gone.
            redis.call('EXPIRE', notes, 60)
        end
    end
    redis.call('DEL', key('awaited', job))
end

-- How long a batch that is complete is kept, the callbacks that have not been called, and what a retry by hand may need.
local retention = 604800

-- A job that waits and is not needed: it goes after so many seconds, without a record.
local function drop_waiting(job, seconds)
    if not present(job) then return end
    if look('HGET', key('jobs', job), 'blk') ~= '1' then return end
    redis.call('HDEL', key('jobs', job), 'blk')
    redis.call('HSET', key('jobs', job), 'end', 'Unneeded')
    redis.call('EXPIRE', key('jobs', job), seconds or 300)
    notify(job, 'Unneeded', {})
end

-- Whether a job is there and has not ended for good, as far as its hash says.
local function is_in_force(job)
    local fields = look('HMGET', key('jobs', job), 'que', 'end')
    return fields and fields[1] and not present(fields[2])
end

-- The ID of the record of a job that is cancelled with the one before it.
local function forgone_attempt(job) return string.sub(job, 1, 62) .. '-0' end

-- The jobs of a chain behind one that can't succeed any more: recorded as cancelled, one after the other.
local function forgo(job, why)
    for _ = 1, 1000 do
        local fields = present(job) and look('HMGET', key('jobs', job), 'blk', 'que', 'nxt', 'end')
        if not fields or fields[1] ~= '1' or not present(fields[2]) or present(fields[4]) then return end
        local queue, attempt = fields[2], forgone_attempt(job)
        redis.call('HDEL', key('jobs', job), 'blk')
        redis.call('HSET', key('jobs', job), 'end', 'Cancelled')
        if exists_as('zset', key('ended', queue)) and redis.call('EXISTS', key('attempts', attempt)) == 0 then
            redis.call('HSET', key('attempts', attempt), 'sta', now, 'fin', now, 'time', 0, 'job', job, 'que', queue,
                'num', 0, 'err', 'Cancelled', 'msg', why)
            redis.call('ZADD', key('ended', queue), now, attempt)
            redis.call('HSET', key('jobs', job), 'las', attempt)
        else
            redis.call('EXPIRE', key('jobs', job), retention)
        end
        count(queue, 'cancelled', 1)
        notify(job, 'Cancelled', { attempt = attempt, err = 'Cancelled', msg = why })
        job = fields[3]
    end
end

-- A job that had ended is to run again by hand: what was cancelled with it, or dropped, waits for it once more.
local function recall_in_chain(next_job, on_failure)
    if present(on_failure) and look('HGET', key('jobs', on_failure), 'end') == 'Unneeded' then
        redis.call('HDEL', key('jobs', on_failure), 'end')
        redis.call('HSET', key('jobs', on_failure), 'blk', 1)
        redis.call('PERSIST', key('jobs', on_failure))
    end
    for _ = 1, 1000 do
        local fields = present(next_job) and look('HMGET', key('jobs', next_job), 'end', 'las', 'que', 'nxt')
        if not fields or fields[1] ~= 'Cancelled' then return end
        local attempt = forgone_attempt(next_job)
        -- One that somebody cancelled by itself stays so.
        if fields[2] and fields[2] ~= attempt then return end
        if fields[2] and present(fields[3]) and exists_as('zset', key('ended', fields[3])) then
            redis.call('ZREM', key('ended', fields[3]), attempt)
            redis.call('DEL', key('attempts', attempt))
        end
        redis.call('HDEL', key('jobs', next_job), 'end', 'las')
        redis.call('HSET', key('jobs', next_job), 'blk', 1)
        redis.call('PERSIST', key('jobs', next_job))
        next_job = fields[4]
    end
end

local batch_fields = { 'tot', 'pen', 'suc', 'ded', 'oth', 'opn', 'cmp', 'scs', 'dth', 'prn', 'fin' }
-- The fields of a batch, the first five as numbers; nil where it is not there.
local function read_batch(batch)
    local values = look('HMGET', key('batch', batch), unpack(batch_fields))
    if not values or not values[1] then return nil end
    local fields = {}
    for i, name in ipairs(batch_fields) do
        fields[name] = i <= 5 and (number(values[i]) or 0) or present(values[i])
    end
    return fields
end

local function counter_of_end(how)
    return how == 'Completed' and 'suc' or how == 'Dead' and 'ded' or 'oth'
end

-- As what a batch that is complete counts in the one around it.
local function end_of_batch(fields)
    return fields.ded > 0 and 'Dead' or fields.oth > 0 and 'Cancelled' or 'Completed'
end

-- What a callback is told of its batch.
local function batch_summary(batch, fields)
    return string.format('{"id":%s,"total":%.0f,"pending":%.0f,"completed":%.0f,"dead":%.0f,"other":%.0f}',
        quoted(batch), fields.tot, fields.pen, fields.suc, fields.ded, fields.oth)
end

-- A batch of which nothing is pending and to which nothing is added any more: its callbacks are released. Returns the
-- batch around it and as what it counts there, or nil.
local function complete_batch(batch, fields)
    local summary = batch_summary(batch, fields)
    redis.call('HSET', key('batch', batch), 'fin', now)
    redis.call('EXPIRE', key('batch', batch), retention)
    release(fields.cmp, 'bsm', summary)
    if fields.suc == fields.tot then
        release(fields.scs, 'bsm', summary)
        drop_waiting(fields.dth)
    else
        -- Those that failed may be retried by hand.
        for _, callback in ipairs({ fields.scs or '', fields.dth or '' }) do
            local waits = callback ~= '' and look('HGET', key('jobs', callback), 'blk')
            if waits == '1' then redis.call('EXPIRE', key('jobs', callback), retention) end
        end
    end
    return fields.prn, end_of_batch(fields)
end

-- A member of a batch has ended for good.
local function count_in_batch(batch, how)
    for _ = 1, deepest do
        local fields = present(batch) and read_batch(batch)
        if not fields then return end
        local counter = counter_of_end(how)
        fields.pen, fields[counter] = math.max(0, fields.pen - 1), fields[counter] + 1
        redis.call('HSET', key('batch', batch), 'pen', fields.pen, counter, fields[counter])
        if how == 'Dead' then release(fields.dth, 'bsm', batch_summary(batch, fields)) end
        if fields.pen > 0 or fields.opn then return end
        batch, how = complete_batch(batch, fields)
    end
end

-- A member that had ended so is to run again.
local function recall_in_batch(batch, how)
    for _ = 1, deepest do
        local fields = present(batch) and read_batch(batch)
        if not fields then return end
        local counter, former = counter_of_end(how), end_of_batch(fields)
        redis.call('HSET', key('batch', batch), 'pen', fields.pen + 1, counter, math.max(0, fields[counter] - 1))
        if not fields.fin then return end
        redis.call('HDEL', key('batch', batch), 'fin')
        redis.call('PERSIST', key('batch', batch))
        for _, callback in ipairs({ fields.scs or '', fields.dth or '' }) do
            if callback ~= '' and look('HGET', key('jobs', callback), 'blk') == '1' then
                redis.call('PERSIST', key('jobs', callback))
            end
        end
        batch, how = fields.prn, former
    end
end

-- What the job's end means for others. `fields` are its `nxt onf bat stp cls`, and `blk` as it was; `facts` are `attempt err
-- msg out add`.
local function settle_ties(job, how, fields, facts)
    local next_job, on_failure = fields[1], fields[2]
    if how == 'Completed' then
        if present(next_job) then
            local step = '{"job":' .. quoted(job) .. ',"cls":' .. quoted(fields[5] or '')
            if present(facts.out) then step = step .. ',"out":' .. facts.out end
            if present(facts.add) then step = step .. ',"add":' .. facts.add end
            local former = present(fields[4])
            release(next_job, 'stp', (former and string.sub(former, 1, -2) .. ',' or '[') .. step .. '}]')
        end
        -- Nobody is left who could call it, unless the next one is. One that was cancelled may be retried by hand.
        if not present(next_job) then
            drop_waiting(on_failure)
        elseif not is_in_force(next_job) then
            drop_waiting(on_failure, retention)
        end
    elseif how == 'Dead' or how == 'Discarded' then
        local failure = '{"job":' .. quoted(job) .. ',"cls":' .. quoted(fields[5] or '') .. ',"err":'
            .. quoted(facts.err or how) .. ',"msg":' .. quoted(facts.msg or '') .. '}'
        if present(fields[4]) then
            release(on_failure, 'flr', failure, 'stp', fields[4])
        else
            release(on_failure, 'flr', failure)
        end
        if how == 'Discarded' then
            forgo(next_job, 'the job before it was discarded')
        else
            -- It may be retried by hand, and the chain goes on; but nobody is to wait for that.
            for _ = 1, 1000 do
                local waiting = present(next_job) and look('HMGET', key('jobs', next_job), 'blk', 'nxt')
                if not waiting or waiting[1] ~= '1' then break end
                notify(next_job, 'Dead', facts)
                next_job = waiting[2]
            end
        end
    else
        forgo(next_job, 'the job before it ended as ' .. how)
        -- Those before one that waits may still fail, and then call it.
        if fields[6] ~= '1' then drop_waiting(on_failure, retention) end
    end
    count_in_batch(fields[3], how)
    notify(job, how, facts)
end
