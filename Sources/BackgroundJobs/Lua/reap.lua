-- reap: attempts whose worker is gone end as `Worker Timeout`; damaged ones as `Bad Attempt`.
--
-- KEYS  1 <ns>:queues
-- ARGV  1 namespace
--       then for each attempt: queue, attempt, wrk, nod, ado ('' if absent), judgement ('gone' | 'bad')
-- Returns flat, 2 an attempt: verdict, job ID ('' if unknown)
--       verdict: 'ready' | 'suspects' (in `ready`, as a suspect) | 'dead' | 'cancelled' | 'over' | 'gone' (the job has no hash) for what became of
--       the job; 'bad' for an attempt without a readable hash; 'spared' where it no longer is what was judged; else a
--       sentence that says what is damaged.
--
-- Twice is harmless: each attempt is ended only while it is in `processing`, with the `wrk`, `nod` and `ado` judged.

local verdicts = {}
local function verdict(text, job)
    verdicts[#verdicts + 1] = text
    verdicts[#verdicts + 1] = job or ''
end

local function reap(queue, attempt, client, node, adoptions)
    local record, fault = look('HMGET', key('attempts', attempt), 'wrk', 'nod', 'ado', 'job', 'dlv', 'crm', 'crw')
    if not record then return verdict(fault) end
    if record[1] ~= client or record[2] ~= node or (record[3] or '') ~= adoptions or not record[4] then
        return verdict('spared', record[4])
    end
    local job = record[4]
    local fields
    fields, fault = look_at_ending(queue, attempt, job)
    if not fields then return verdict(fault, job) end
    local budget = record[6] == 'all' and 'all' or number(record[6])
    local window = number(record[7])
    if record[6] and not budget then fields.faults[#fields.faults + 1] = 'crm was no number: ' .. shown(record[6]) end
    if record[7] and not window then fields.faults[#fields.faults + 1] = 'crw was no number: ' .. shown(record[7]) end
    verdict(end_as_vanished(queue, attempt, job, fields, record[5], budget or usual_retries, window or usual_window), job)
end

-- An attempt that nobody can answer for, since its hash is missing or lacks what a reader needs. The hash of a wrong
-- type is left as it is; the job, where it is named and this is its last attempt, goes back to the head of the queue
-- (one that may run once only is dead, one that is to be cancelled is cancelled).
local function clear(queue, attempt)
    local record = look('HMGET', key('attempts', attempt), 'wrk', 'nod', 'job', 'que', 'dlv')
    -- As strict about `wrk` as the watcher that judged: what it could not read is not spared here.
    local client = record and record[1] and string.find(record[1], '^%d+$') and number(record[1])
    if client and record[2] and record[3] and record[4] then return verdict('spared', record[3]) end
    local sound, fault = exists_as('zset', key('failed', queue), key('dead', queue))
    if sound then sound, fault = exists_as('list', key('ready', queue)) end
    if not sound then return verdict(fault) end
    local job = record and present(record[3])
    local fields = job and look('HMGET', key('jobs', job), 'las', 'end', 'cnl', 'nxt', 'onf', 'bat')
    if fields and fields[1] == attempt then sound, fault = sound_ties(fields[4], fields[5], fields[6]) end
    if not sound then return verdict(fault, job) end
    redis.call('SREM', key('processing', queue), attempt)
    if record then
        redis.call('HSET', key('attempts', attempt), 'que', queue, 'err', 'Bad Attempt', 'msg', 'the hash lacked wrk, nod, job or que')
    end
    redis.call('ZADD', key('failed', queue), now, attempt)
    count(queue, 'bad', 1)
    local facts = { attempt = attempt, err = 'Bad Attempt' }
    if fields and fields[1] == attempt and not present(fields[2]) then
        if fields[3] == '1' then
            end_job(job, 'Cancelled', facts)
        elseif record[5] == 'amo' then
            bury(queue, job, facts)
        else
            redis.call('LPUSH', key('ready', queue), job)
        end
    end
    verdict('bad', job)
end

relieve()
for at = 2, #ARGV, 6 do
    local queue, attempt = ARGV[at], ARGV[at + 1]
    local running, fault = look('SISMEMBER', key('processing', queue), attempt)
    if not running then
        verdict(fault)
    elseif running == 0 then
        verdict('spared')
    elseif ARGV[at + 5] == 'bad' then
        clear(queue, attempt)
    else
        reap(queue, attempt, ARGV[at + 2], ARGV[at + 3], ARGV[at + 4])
    end
end
write_counts()
return verdicts
