-- Stands in front of the scripts that end attempts: what becomes of the job (protocol, Endings).

-- Looks at all that the ending of one attempt touches. Returns the job's fields, or nil and what is wrong.
-- A job hash that is gone or damaged does not keep its attempt from ending: then the fields are false.
local function look_at_ending(queue, attempt, job)
    local sound, fault = exists_as('hash', key('attempts', attempt))
    if sound then sound, fault = exists_as('zset', key('failed', queue), key('ended', queue), key('dead', queue), key('scheduled', queue)) end
    if sound then sound, fault = exists_as('list', key('ready', queue), key('suspects', queue)) end
    if not sound then return nil, fault end
    local fields = look('HMGET', key('jobs', job), 'cls', 'que', 'ers', 'crs', 'crt', 'cnl', 'end')
    if not fields or not (fields[1] or fields[2]) then return { gone = true } end
    return { errors = fields[3], crashes = fields[4], crash_time = fields[5], cancelled = fields[6], over = fields[7] }
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

-- The ending of an attempt whose worker is gone: no `fin`, since nobody knows when. Returns where the job went.
local function end_as_vanished(queue, attempt, job, fields, delivery, crash_retries, crash_window)
    end_attempt('failed', queue, attempt, 'err', 'Worker Timeout')
    count(queue, 'crashed', 1)
    if fields.gone then return 'gone' end
    if fields.over then return 'over' end
    if fields.cancelled then
        end_job(job, 'Cancelled')
        return 'cancelled'
    end
    local crashes, first = number(fields.crashes) or 0, number(fields.crash_time)
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
