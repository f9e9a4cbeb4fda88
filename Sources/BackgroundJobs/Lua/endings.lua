-- Stands in front of the scripts that end attempts: what becomes of the job (protocol, Endings).

-- Whether an attempt is running or has succeeded: then its job is not to be run again.
local function is_running_or_done(attempt)
    local record = look('HMGET', key('attempts', attempt), 'que', 'fin', 'err')
    if not record then return false end
    if present(record[2]) and not record[3] then return true end
    return record[1] and look('SISMEMBER', key('processing', record[1]), attempt) == 1
end

-- Why an attempt is not in `processing`: its own finish has been written, or somebody else ended it.
local function settled(attempt)
    if present(look('HGET', key('attempts', attempt), 'fin')) then return 'done' end
    return 'lost'
end

-- Looks at all that the ending of one attempt touches. Returns what the job's hash says, or nil and what is wrong.
-- A job hash that is gone or damaged does not keep its attempt from ending: then `gone` says why.
-- `faults` are sentences about fields that hold no number.
local function look_at_ending(queue, attempt, job)
    local sound, fault = exists_as('hash', key('attempts', attempt))
    if sound then sound, fault = exists_as('zset', key('failed', queue), key('ended', queue), key('dead', queue), key('scheduled', queue)) end
    if sound then sound, fault = exists_as('list', key('ready', queue), key('suspects', queue)) end
    if not sound then return nil, fault end
    local fields, wrong = look('HMGET', key('jobs', job), 'cls', 'que', 'ers', 'crs', 'crt', 'cnl', 'end', 'las')
    if not fields then return { gone = wrong, faults = {} } end
    if not (fields[1] or fields[2]) then return { gone = 'there is no such hash', faults = {} } end
    local over = present(fields[7]) and 'it had ended before'
    local last = present(fields[8])
    if not over and last and last ~= attempt and is_running_or_done(last) then over = 'another attempt of it is in force' end
    local faults = {}
    for i, name in pairs({ [3] = 'ers', [4] = 'crs', [5] = 'crt' }) do
        if fields[i] and not number(fields[i]) then faults[#faults + 1] = name .. ' of the job was no number: ' .. shown(fields[i]) end
    end
    return {
        errors = number(fields[3]) or 0,
        crashes = number(fields[4]) or 0,
        crash_time = number(fields[5]),
        cancelled = not over and fields[6] == '1',
        over = over,
        faults = faults,
    }
end

-- Takes the attempt out of `processing` and writes how it ended. The look came before.
local function end_attempt(set, queue, attempt, ...)
    redis.call('SREM', key('processing', queue), attempt)
    redis.call('HSET', key('attempts', attempt), ...)
    redis.call('ZADD', key(set, queue), now, attempt)
end

local function end_job(job, how) redis.call('HSET', key('jobs', job), 'end', how) end

local function bury(queue, job, ...)
    redis.call('HSET', key('jobs', job), 'end', 'Dead', ...)
    redis.call('ZADD', key('dead', queue), now, job)
    count(queue, 'dead', 1)
end

-- Arguments that no worker is handed: a reply of such a size would take it down, and the next one after it.
local largest_arguments = 16777216
-- A sentence, or nil where the arguments may be handed out.
local function too_large(arguments)
    if not arguments or #arguments <= largest_arguments then return nil end
    return string.format('the arguments have %d bytes, and the limit is %d', #arguments, largest_arguments)
end

-- The ending of a running attempt whose job has got such arguments since it began. No `fin`, since its worker did not
-- end it. Nil and a sentence where a key is damaged.
local function end_as_too_large(queue, attempt, job, arguments)
    local fields, fault = look_at_ending(queue, attempt, job)
    if not fields then return nil, fault end
    end_attempt('failed', queue, attempt, 'err', 'Bad Job', 'msg', too_large(arguments))
    count(queue, 'bad', 1)
    if not fields.gone and not fields.over then end_job(job, 'Bad Job') end
    return true
end

-- The ending of an attempt whose worker is gone: no `fin`, since nobody knows when. Returns where the job went.
local function end_as_vanished(queue, attempt, job, fields, delivery, crash_retries, crash_window)
    local message = table.concat(fields.faults, '; ')
    if fields.cancelled then
        end_attempt('ended', queue, attempt, 'err', 'Cancelled', 'msg', 'Worker Timeout' .. (message ~= '' and '; ' .. message or ''))
        count(queue, 'cancelled', 1)
        end_job(job, 'Cancelled')
        return 'cancelled'
    end
    if message == '' then
        end_attempt('failed', queue, attempt, 'err', 'Worker Timeout')
    else
        end_attempt('failed', queue, attempt, 'err', 'Worker Timeout', 'msg', message)
    end
    count(queue, 'crashed', 1)
    if fields.gone then return 'gone' end
    if fields.over then return 'over' end
    local crashes, first = fields.crashes, fields.crash_time
    if not first or (crash_window > 0 and now - first > crash_window) then
        crashes, first = 0, now
    end
    crashes = crashes + 1
    if delivery == 'amo' or (crash_retries ~= 'all' and crashes > crash_retries) then
        bury(queue, job, 'crs', crashes, 'crt', first)
        return 'dead'
    end
    redis.call('HSET', key('jobs', job), 'crs', crashes, 'crt', first)
    if crashes > 1 then
        redis.call('RPUSH', key('suspects', queue), job)
        return 'suspects'
    end
    redis.call('LPUSH', key('ready', queue), job)
    return 'ready'
end
