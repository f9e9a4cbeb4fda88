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
    local fields, wrong = look('HMGET', key('jobs', job), 'cls', 'que', 'ers', 'crs', 'crt', 'cnl', 'end', 'las', 'att',
        'nxt', 'onf', 'bat')
    if not fields then return { gone = wrong, faults = {} } end
    if not (fields[1] or fields[2]) then return { gone = 'there is no such hash', faults = {} } end
    sound, fault = sound_ties(fields[10], fields[11], fields[12])
    if not sound then return nil, fault end
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
        begun = number(fields[9]) or 0,
        last = last,
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

-- A uniqueness lock is the job's as long as it bears the job's ID: nobody frees another's.
local function release_lock(job, digest)
    if present(digest) and look('GET', key('unique', digest)) == job then redis.call('DEL', key('unique', digest)) end
end

local tie_fields = { 'nxt', 'onf', 'bat', 'stp', 'cls', 'blk', 'unq' }

-- Success ends the job: `facts` are of its last attempt (`attempt`, `err`, `msg`, `out`, `add`).
local function succeed(job, facts)
    local fields = redis.call('HMGET', key('jobs', job), unpack(tie_fields))
    release_lock(job, fields[7])
    settle_ties(job, 'Completed', fields, facts)
end

local function end_job(job, how, facts, ...)
    local fields = redis.call('HMGET', key('jobs', job), unpack(tie_fields))
    redis.call('HSET', key('jobs', job), 'end', how, ...)
    redis.call('HDEL', key('jobs', job), 'blk')
    release_lock(job, fields[7])
    settle_ties(job, how, fields, facts)
end

local function bury(queue, job, facts, ...)
    end_job(job, 'Dead', facts, ...)
    redis.call('ZADD', key('dead', queue), now, job)
    count(queue, 'dead', 1)
end

-- To be run at this time.
local function schedule(queue, job, time, ...)
    redis.call('HSET', key('jobs', job), 'pat', time, ...)
    redis.call('ZADD', key('scheduled', queue), time, job)
end

-- A record of something that befell a job that did not begin: an attempt with the number 0, which becomes the last one.
local function record_unbegun(set, queue, job, last, attempt, err, ...)
    local record = { 'sta', now, 'fin', now, 'time', 0, 'job', job, 'que', queue, 'num', 0, 'err', err, ... }
    if present(last) then record[#record + 1], record[#record + 2] = 'prv', last end
    redis.call('HSET', key('attempts', attempt), unpack(record))
    redis.call('ZADD', key(set, queue), now, attempt)
    redis.call('HSET', key('jobs', job), 'las', attempt)
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
    if not fields.gone and not fields.over then
        end_job(job, 'Bad Job', { attempt = attempt, err = 'Bad Job', msg = too_large(arguments) })
    end
    return true
end

-- The crash budget and window where neither the job nor its class says otherwise.
local usual_retries, usual_window = 3, 259200000

-- The crashes that count, and when the first of them was.
local function crashes_within(window, crashes, first)
    if not first or (window > 0 and now - first > window) then return 0, nil end
    return crashes, first
end

-- What a crash makes of the job: the count, the time of the first, and a sentence if the job is dead of it.
local function crash(fields, delivery, budget, window)
    local crashes, first = crashes_within(window, fields.crashes, fields.crash_time)
    crashes = crashes + 1
    local sentence
    if delivery == 'amo' then
        sentence = 'the job is dead, since it is to run at most once'
    elseif budget ~= 'all' and crashes > budget then
        local within = ''
        if window > 0 and window % 3600000 == 0 then
            within = string.format(' within %.0f h', window / 3600000)
        elseif window > 0 then
            within = string.format(' within %.0f s', math.floor(window / 1000))
        end
        sentence = string.format('the job is dead: crash %d%s, and %d are forgiven', crashes, within, budget)
    end
    return crashes, first or now, sentence
end

-- Carries it out; returns where the job went. `facts` say how the last attempt ended where the job is dead of it.
local function requeue_crashed(queue, job, crashes, first, facts)
    if facts then
        bury(queue, job, facts, 'crs', crashes, 'crt', first)
        return 'dead'
    end
    redis.call('HSET', key('jobs', job), 'crs', crashes, 'crt', first)
    -- A suspect too: workers wait at `ready`. A claim that may not run it puts it aside.
    redis.call('LPUSH', key('ready', queue), job)
    return crashes > 1 and 'suspects' or 'ready'
end

-- The ending of an attempt whose worker is gone: no `fin`, since nobody knows when. Returns where the job went.
local function end_as_vanished(queue, attempt, job, fields, delivery, budget, window)
    local sentences = fields.faults
    local set, err, counter = 'failed', 'Worker Timeout', 'crashed'
    local crashes, first, fatal
    if fields.cancelled then
        set, err, counter = 'ended', 'Cancelled', 'cancelled'
        table.insert(sentences, 1, 'Worker Timeout')
    elseif not fields.gone and not fields.over then
        crashes, first, fatal = crash(fields, delivery, budget, window)
        if fatal then table.insert(sentences, 1, fatal) end
    end
    local written = { 'err', err }
    if #sentences > 0 then written[3], written[4] = 'msg', table.concat(sentences, '; ') end
    end_attempt(set, queue, attempt, unpack(written))
    count(queue, counter, 1)
    if fields.cancelled then
        end_job(job, 'Cancelled', { attempt = attempt, err = 'Cancelled', msg = written[4] })
        return 'cancelled'
    end
    if fields.gone then return 'gone' end
    if fields.over then return 'over' end
    return requeue_crashed(queue, job, crashes, first, fatal and { attempt = attempt, err = err, msg = written[4] })
end
