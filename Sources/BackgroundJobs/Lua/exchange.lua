-- finish + claim: a worker reports what ended and takes what it has room for, in one step.
--
-- KEYS  1 <ns>:queues
-- ARGV  1 namespace   2 node   3 client ID that vouches (`wrk`)
--       4 number of queues in which attempts completed, then for each: name, how many, their IDs, their ms
--       + number of other endings, then for each: attempt, queue, job, ms, err, msg, ending, delay in ms, retry queue,
--         number of further fields of the attempt, their names and values
--         (ending: completed | retried | dead | discarded | crashed | snoozed | shutdown | unbegun | cancelled | skipped)
--       + jobs wanted (0: finish only), bytes of arguments wanted, 1 if a suspect may be taken
--       + delivery of jobs that don't say (alo | amo), number of classes with rules of their own, then for each: class,
--         delivery, crash retries, crash window ('' where the rule is the usual one)
--       (the name by which jobs are placed is the node's without process ID and digits)
--       + number of fibers that jobs of any queue may use
--       + number of queues, then in the order of preference for each: name, number of free fibers that are its own
--       + number of offered attempt IDs that an earlier call may have used, then all offered IDs, these first
-- Returns { exceptions, jobs, notices, paused, short, spent, now }
--       exceptions: flat (index from 0, "done" | "lost" | a sentence) of the endings that were not simply written
--       jobs: flat, 9 a job (attempt, job, queue, num, cls, arg, qat, 1 if a suspect or 2 if it is its last try, options)
--       notices: flat (queue, sentence) of what was left out, dropped or found damaged
--       paused: names of the queues that are paused   short: 1 if the queues hold no more than what was taken
--       spent: those of the IDs offered again (fresh ones too, where the first was used before) whose attempts have ended
--       or are another node's: they are not to be offered any more   now: the server's time
--
-- No error reply but those of Redis itself (READONLY, MISCONF, …), before anything is written.
--
-- Twice is harmless: an ending is written only while its attempt is in `processing` (else it is "done" or "lost"). An ID
-- offered again that is in `processing` is returned again and takes nothing new; fresh ones likewise, where the first of
-- them has an attempt. One behind a first that has none is passed over: no attempt is ever written over.

local node, client = ARGV[2], ARGV[3]
local at = 4
local function next_argument()
    at = at + 1
    return ARGV[at - 1]
end

local exceptions, jobs, notices, paused = {}, {}, {}, {}
local function except(index, verdict)
    exceptions[#exceptions + 1] = index
    exceptions[#exceptions + 1] = verdict
end
local function notice(queue, sentence)
    notices[#notices + 1] = queue
    notices[#notices + 1] = sentence
end

-- How long an attempt took, as its worker says; 0 where that is no such time.
local function milliseconds(text)
    local value = tonumber(text)
    return value and value >= 0 and value <= 9007199254740992 and value or 0
end

relieve()

-- 1. What completed, a queue at a time.
local index = 0
for _ = 1, tonumber(next_argument()) do
    local queue, finished = next_argument(), tonumber(next_argument())
    local attempts, times = at - 1, at - 1 + finished
    at = at + 2 * finished
    local running, fault = look('SMISMEMBER', key('processing', queue), unpack(ARGV, attempts + 1, times))
    if running then
        local sound, zset_fault = exists_as('zset', key('completed', queue))
        if not sound then running, fault = nil, zset_fault end
    end
    local gone, scored, seen, n, run = {}, {}, {}, 0, 0
    for i = 1, finished do
        local attempt, ms = ARGV[attempts + i], ARGV[times + i]
        if not running then
            except(index, fault)
        elseif running[i] == 0 or seen[attempt] then
            except(index, seen[attempt] and 'done' or settled(attempt))
        else
            -- The first write for this item, and of this type: where the hash is none, nothing has been done to it.
            local written, wrong = look('HSET', attempt_prefix .. attempt, 'fin', stamp, 'time', ms)
            if written then
                seen[attempt] = true
                n = n + 1
                gone[n], scored[2 * n - 1], scored[2 * n] = attempt, stamp, attempt
                run = run + milliseconds(ms)
            else
                except(index, wrong)
            end
        end
        index = index + 1
    end
    if n > 0 then
        redis.call('SREM', key('processing', queue), unpack(gone))
        redis.call('ZADD', key('completed', queue), unpack(scored))
        count(queue, 'completed', n)
        count(queue, 'run', run, true)
        if anybody_awaits() then
            for _, attempt in ipairs(gone) do
                local job = redis.call('HGET', key('attempts', attempt), 'job')
                if present(job) then notify(job, 'Completed', { attempt = attempt }) end
            end
        end
    end
end

-- 2. What ended otherwise. As a rule nothing did, and then none of this is made.
local function end_others(from, others)
    local set_of = { completed = 'completed', retried = 'failed', dead = 'failed', discarded = 'failed', crashed = 'failed' }
    local counter_of = {
        completed = 'completed', retried = 'failed', dead = 'failed', discarded = 'failed', crashed = 'crashed',
        snoozed = 'snoozed', shutdown = 'shutdown', unbegun = 'shutdown', cancelled = 'cancelled', skipped = 'skipped',
    }
    -- A suspect too: workers wait at `ready`.
    local function give_back(queue, job) redis.call('LPUSH', key('ready', queue), job) end
    local function end_one(i, attempt, queue, job, ms, err, msg, ending, delay, target, further)
        local running, fault = look('SISMEMBER', key('processing', queue), attempt)
        if running == 0 then return except(i, settled(attempt)) end
        local fields
        if running == 1 then fields, fault = look_at_ending(queue, attempt, job) end
        if fields and ending == 'completed' then
            local sound, wrong = exists_as('zset', key('completed', queue))
            if not sound then fields, fault = nil, wrong end
        elseif fields and target ~= '' then
            local sound, wrong = exists_as('zset', key('scheduled', target))
            if sound then sound, wrong = exists_as('set', prefix .. 'queues') end
            if not sound then fields, fault = nil, wrong end
        end
        if not fields then return except(i, fault) end

        -- Whatever ends an attempt that is to be cancelled, but success, ends it as `Cancelled`.
        if fields.cancelled and ending ~= 'cancelled' and ending ~= 'completed' then
            msg = msg == '' and err or err .. ': ' .. msg
            err, ending = 'Cancelled', 'cancelled'
        end
        local set = set_of[ending] or 'ended'
        local over = fields.gone or fields.over
        local rules = (ending == 'shutdown' or ending == 'crashed') and redis.call('HMGET', key('attempts', attempt), 'dlv', 'crm', 'crw') or {}
        local at_most_once = ending == 'shutdown' and rules[1] == 'amo'
        local crashes, first, fatal
        if ending == 'crashed' and not over then
            local budget = rules[2] == 'all' and 'all' or number(rules[2]) or usual_retries
            crashes, first, fatal = crash(fields, rules[1], budget, number(rules[3]) or usual_window)
            if fatal then msg = msg .. '; ' .. fatal end
        elseif at_most_once and not over then
            msg = 'the job is dead, since it is to run at most once'
        end
        local written = { 'fin', now, 'time', ms }
        if ending ~= 'completed' then written[5], written[6] = 'err', present(err) or 'Error' end
        if msg ~= '' then written[#written + 1], written[#written + 2] = 'msg', msg end
        local facts = { attempt = attempt, err = written[6], msg = msg }
        for n = 1, #further, 2 do
            written[#written + 1], written[#written + 2] = further[n], further[n + 1]
            facts[further[n]] = further[n + 1]
        end
        end_attempt(set, queue, attempt, unpack(written))
        count(queue, counter_of[ending], 1)
        if err == 'Timeout' and set == 'failed' then count(queue, 'timeout', 1) end
        if ending == 'discarded' then count(queue, 'discarded', 1) end
        if set ~= 'ended' then count(queue, 'run', milliseconds(ms), true) end
        for _, sentence in ipairs(fields.faults) do notice(queue, 'job ' .. shown(job) .. ': ' .. sentence) end
        if ending == 'completed' then
            -- Success has the last word, whatever became of the job meanwhile; but what its end has set going stays so.
            if fields.over then
                release_lock(job, redis.call('HGET', key('jobs', job), 'unq'))
            elseif not fields.gone then
                succeed(job, facts)
            end
        elseif over then
            notice(queue, 'job ' .. shown(job) .. ': only its attempt ' .. attempt .. ' ended: ' .. over)
        elseif ending == 'cancelled' then
            end_job(job, 'Cancelled', facts)
        elseif ending == 'dead' then
            bury(queue, job, facts, 'ers', fields.errors + 1)
        elseif ending == 'discarded' then
            end_job(job, 'Discarded', facts, 'ers', fields.errors + 1)
        elseif ending == 'skipped' then
            end_job(job, 'Skipped', facts)
        elseif ending == 'retried' and target ~= '' and target ~= queue then
            schedule(target, job, now + tonumber(delay), 'ers', fields.errors + 1, 'que', target)
            redis.call('SADD', prefix .. 'queues', target)
        elseif ending == 'retried' then
            schedule(queue, job, now + tonumber(delay), 'ers', fields.errors + 1)
        elseif ending == 'snoozed' then
            schedule(queue, job, now + tonumber(delay), 'att', math.max(0, fields.begun - 1))
        elseif ending == 'crashed' then
            requeue_crashed(queue, job, crashes, first, fatal and facts)
        elseif at_most_once then
            bury(queue, job, facts)
        elseif ending == 'unbegun' and fields.last == attempt then
            -- As if it had not been claimed: it may still expire, and be the first.
            local former = redis.call('HGET', key('attempts', attempt), 'prv')
            redis.call('HSET', key('jobs', job), 'att', math.max(0, fields.begun - 1))
            if former then redis.call('HSET', key('jobs', job), 'las', former) else redis.call('HDEL', key('jobs', job), 'las') end
            give_back(queue, job)
        else
            give_back(queue, job)
        end
    end
    for i = from, from + others - 1 do
        local attempt, queue, job, ms = next_argument(), next_argument(), next_argument(), next_argument()
        local err, msg, ending, delay = next_argument(), next_argument(), next_argument(), next_argument()
        local target, further = next_argument(), {}
        for n = 1, 2 * tonumber(next_argument()) do further[n] = next_argument() end
        end_one(i, attempt, queue, job, ms, err, msg, ending, delay, target, further)
    end
end
local others = tonumber(next_argument())
if others > 0 then end_others(index, others) end
