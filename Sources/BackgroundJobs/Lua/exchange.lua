-- finish + claim: a worker reports what ended and takes what it has room for, in one step.
--
-- KEYS  1 <ns>:queues
-- ARGV  1 namespace   2 node   3 client ID that vouches (`wrk`)
--       4 number of completed attempts, then for each: attempt, queue, ms
--       + number of other endings, then for each: attempt, queue, job, ms, err, msg, ending
--         (ending: dead | discarded | shutdown | cancelled)
--       + jobs wanted (0: finish only), bytes of arguments wanted, 1 if a suspect may be taken
--       + number of queues, then their names in the order of preference
--       + number of offered attempt IDs that an earlier call may have used, then all offered IDs, these first
-- Returns { exceptions, jobs, notices, paused, short }
--       exceptions: flat (index from 0, "done" | "lost" | a sentence) of the endings that were not simply written
--       jobs: flat, 8 a job (attempt, job, queue, num, cls, arg, qat, 1 if a suspect)
--       notices: flat (queue, sentence) of what was left out, dropped or found damaged
--       paused: names of the queues that are paused   short: 1 if the queues hold no more than what was taken
--
-- Twice is harmless: an ending is written only while its attempt is in `processing` (else it is "done" or "lost"), and
-- an offered ID that is in `processing` already is returned again and takes nothing new.

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

-- Why an attempt is not in `processing`: its own finish has been written, or somebody else ended it.
local function settled(attempt)
    local ending = look('HMGET', key('attempts', attempt), 'fin', 'err')
    if ending and ending[1] then return 'done' end
    return 'lost'
end

relieve()

-- 1. What completed, a queue at a time.
local completed_count = tonumber(next_argument())
local completed = {}
for i = 0, completed_count - 1 do
    local attempt, queue, ms = next_argument(), next_argument(), next_argument()
    local batch = completed[queue]
    if not batch then
        batch = { attempts = {}, indexes = {}, times = {} }
        completed[queue] = batch
    end
    local n = #batch.attempts + 1
    batch.attempts[n], batch.indexes[n], batch.times[n] = attempt, i, ms
end
for queue, batch in pairs(completed) do
    local running, fault = look('SMISMEMBER', key('processing', queue), unpack(batch.attempts))
    if running then
        local sound, zset_fault = exists_as('zset', key('completed', queue))
        if not sound then running, fault = nil, zset_fault end
    end
    local gone, scored, run, seen = {}, {}, 0, {}
    for i, attempt in ipairs(batch.attempts) do
        if not running then
            except(batch.indexes[i], fault)
        elseif running[i] == 0 or seen[attempt] then
            except(batch.indexes[i], seen[attempt] and 'done' or settled(attempt))
        else
            -- The first write for this item, and of this type: where the hash is none, nothing has been done to it.
            local written, wrong = look('HSET', key('attempts', attempt), 'fin', now, 'time', batch.times[i])
            if written then
                seen[attempt] = true
                gone[#gone + 1] = attempt
                scored[#scored + 1] = now
                scored[#scored + 1] = attempt
                run = run + (tonumber(batch.times[i]) or 0)
            else
                except(batch.indexes[i], wrong)
            end
        end
    end
    if #gone > 0 then
        redis.call('SREM', key('processing', queue), unpack(gone))
        redis.call('ZADD', key('completed', queue), unpack(scored))
        count(queue, 'completed', #gone)
        count(queue, 'run', run, true)
    end
end

-- 2. What ended otherwise.
local counted = { discarded = 'discarded', shutdown = 'shutdown', cancelled = 'cancelled' }
for i = completed_count, completed_count + tonumber(next_argument()) - 1 do
    local attempt, queue, job, ms = next_argument(), next_argument(), next_argument(), next_argument()
    local err, msg, ending = next_argument(), next_argument(), next_argument()
    local running, fault = look('SISMEMBER', key('processing', queue), attempt)
    local fields
    if running == 1 then fields, fault = look_at_ending(queue, attempt, job) end
    if running == 0 then
        except(i, settled(attempt))
    elseif not fields then
        except(i, fault)
    else
        local failed = ending == 'dead' or ending == 'discarded'
        local written = { 'fin', now, 'time', ms, 'err', err }
        if msg ~= '' then
            written[7], written[8] = 'msg', msg
        end
        end_attempt(failed and 'failed' or 'ended', queue, attempt, unpack(written))
        if failed then
            count(queue, 'failed', 1)
            count(queue, 'run', tonumber(ms) or 0, true)
        end
        if counted[ending] then count(queue, counted[ending], 1) end
        if not fields.gone and not fields.over then
            local errors = (number(fields.errors) or 0) + (failed and 1 or 0)
            if fields.cancelled or ending == 'cancelled' then
                if failed then redis.call('HSET', key('jobs', job), 'ers', errors) end
                end_job(job, 'Cancelled')
            elseif ending == 'dead' then
                bury(queue, job, 'ers', errors)
            elseif ending == 'discarded' then
                redis.call('HSET', key('jobs', job), 'ers', errors, 'end', 'Discarded')
            else
                redis.call('LPUSH', key('ready', queue), job)
            end
        end
    end
end

-- 3. What is to run next.
local wanted, bytes, suspect_allowed = tonumber(next_argument()), tonumber(next_argument()), next_argument() == '1'
local queues = {}
for i = 1, tonumber(next_argument()) do queues[i] = next_argument() end
local reoffered = tonumber(next_argument())
local first_offer, last_offer = at, #ARGV

local function hand_out(attempt, job, queue, num, fields, suspect)
    local n = #jobs
    jobs[n + 1], jobs[n + 2], jobs[n + 3], jobs[n + 4] = attempt, job, queue, num
    jobs[n + 5], jobs[n + 6], jobs[n + 7], jobs[n + 8] = fields[1], fields[2], fields[3], suspect and 1 or 0
end

-- Offers that an earlier call, whose reply was lost, has used: they are running already.
local used = {}
if reoffered > 0 then
    for _, queue in ipairs(queues) do
        local members = look('SMISMEMBER', key('processing', queue), unpack(ARGV, first_offer, first_offer + reoffered - 1))
        for i = 1, members and reoffered or 0 do
            local attempt = ARGV[first_offer + i - 1]
            local record = members[i] == 1 and look('HMGET', key('attempts', attempt), 'nod', 'job', 'num')
            if record and record[1] == node and record[2] then
                local fields = look('HMGET', key('jobs', record[2]), 'cls', 'arg', 'qat')
                redis.call('HSET', key('attempts', attempt), 'wrk', client)
                hand_out(attempt, record[2], queue, record[3] or 0, fields or {}, false)
                used[attempt] = true
            end
        end
    end
    for i = first_offer, first_offer + reoffered - 1 do
        if not used[ARGV[i]] and redis.call('EXISTS', key('attempts', ARGV[i])) == 1 then used[ARGV[i]] = true end
    end
end

local offer = first_offer
local function next_offer()
    while offer <= last_offer and used[ARGV[offer]] do offer = offer + 1 end
    offer = offer + 1
    return ARGV[offer - 1]
end

-- Writes the attempt hash under the next offered ID; one that is taken by a key of another type is passed over.
local function begin_attempt(job, queue, num, last)
    local attempt = next_offer()
    while attempt do
        local record = { 'sta', now, 'job', job, 'wrk', client, 'que', queue, 'nod', node, 'num', num }
        if last then record[13], record[14] = 'prv', last end
        local written, fault = look('HSET', key('attempts', attempt), unpack(record))
        if written then return attempt end
        notice(queue, 'attempt ' .. attempt .. ' passed over: ' .. fault)
        attempt = next_offer()
    end
    return nil
end

-- A job that cannot run at all is recorded as an attempt with the number 0.
local function reject(job, queue, err, msg, last)
    local attempt = begin_attempt(job, queue, 0, last)
    if not attempt then return nil end
    redis.call('HSET', key('attempts', attempt), 'fin', now, 'time', 0, 'err', err, 'msg', msg)
    redis.call('ZADD', key('failed', queue), now, attempt)
    count(queue, err == 'Bad Job' and 'bad' or 'missing', 1)
    notice(queue, 'job ' .. job .. ': ' .. err .. ', ' .. msg .. ' (attempt ' .. attempt .. ')')
    return attempt
end

-- Whether the job's last attempt is running or has succeeded: then this ID is a duplicate.
local function is_duplicate(last)
    local record = look('HMGET', key('attempts', last), 'que', 'fin', 'err')
    if not record or not record[1] then return false end
    if record[2] and not record[3] then return true end
    return look('SISMEMBER', key('processing', record[1]), last) == 1
end

local claimed, short, taken = {}, true, {}
-- Looks at the IDs at the head of a list and begins what can be begun; returns how many of them are dealt with.
local function begin(queue, ids, begun, suspect)
    local waited = 0
    local dealt = 0
    for _, id in ipairs(ids) do
        if wanted <= 0 then break end
        local job_key = key('jobs', id)
        local fields, fault = look('HMGET', job_key, 'cls', 'arg', 'qat', 'att', 'las', 'end', 'pat', 'que')
        if taken[id] then
            notice(queue, 'dropped a second copy of job ' .. id)
        elseif fields and fields[6] then
            if fields[6] == 'Dequeued' then
                redis.call('DEL', job_key)
            elseif fields[6] ~= 'Cancelled' then
                notice(queue, 'dropped job ' .. id .. ': it has ended as ' .. fields[6])
            end
        elseif fields and fields[5] and is_duplicate(fields[5]) then
            notice(queue, 'dropped job ' .. id .. ': its last attempt is running or has succeeded')
        elseif not fields or not fields[1] then
            local attempt
            if not fields then
                attempt = reject(id, queue, 'Bad Job', fault)
            elseif redis.call('EXISTS', job_key) == 0 then
                attempt = reject(id, queue, 'Job Not Found', 'there is no hash ' .. job_key)
            else
                attempt = reject(id, queue, 'Bad Job', 'the hash has no field cls', fields[5])
                if attempt then redis.call('HSET', job_key, 'end', 'Bad Job', 'las', attempt) end
            end
            if not attempt then break end
            wanted = wanted - 1
        else
            local size = fields[2] and #fields[2] or 0
            if size > bytes and #jobs > 0 then
                short = false
                wanted = 0
                break
            end
            local num = number(fields[4])
            if fields[4] and not num then notice(queue, 'job ' .. id .. ': att is no count: ' .. string.sub(fields[4], 1, 40)) end
            num = (num or 0) + 1
            local attempt = begin_attempt(id, queue, num, fields[5])
            if not attempt then break end
            redis.call('HSET', job_key, 'att', num, 'las', attempt)
            begun[#begun + 1] = attempt
            taken[id] = true
            hand_out(attempt, id, queue, num, fields, suspect)
            waited = waited + math.max(0, now - (number(fields[7]) or number(fields[3]) or now))
            bytes = bytes - size
            wanted = wanted - 1
        end
        dealt = dealt + 1
    end
    if waited > 0 then count(queue, 'wait', waited, true) end
    return dealt
end

if wanted > 0 and #queues > 0 then
    local stopped, fault = look('SMISMEMBER', prefix .. 'paused', unpack(queues))
    if not stopped then
        notice('', 'no queue counts as paused: ' .. fault)
        stopped = {}
    end
    for q, queue in ipairs(queues) do
        if stopped[q] == 1 then
            paused[#paused + 1] = queue
        elseif wanted > 0 then
            local handoff, ready, suspects = key('handoff', queue), key('ready', queue), key('suspects', queue)
            local at_hand, fault = look('LRANGE', handoff, 0, wanted - 1)
            local waiting, suspected = nil, {}
            if at_hand then waiting, fault = look('LRANGE', ready, 0, wanted - 1) end
            if waiting and suspect_allowed then suspected, fault = look('LRANGE', suspects, 0, 0) end
            local sound = waiting and suspected
            if sound then sound, fault = look('SREM', key('processing', queue), '') end
            if sound then sound, fault = exists_as('zset', key('failed', queue)) end
            if not sound then
                notice(queue, 'left out: ' .. fault)
            else
                local begun = {}
                local dealt = begin(queue, at_hand, begun, false)
                if dealt > 0 then redis.call('LPOP', handoff, dealt) end
                dealt = begin(queue, waiting, begun, false)
                if dealt > 0 then redis.call('LPOP', ready, dealt) end
                if suspected[1] and begin(queue, suspected, begun, true) > 0 then
                    redis.call('LPOP', suspects)
                    suspect_allowed = false
                end
                if #begun > 0 then redis.call('SADD', key('processing', queue), unpack(begun)) end
            end
        end
    end
    if wanted <= 0 then short = false end
end

write_counts()
return { exceptions, jobs, notices, paused, short and 1 or 0 }
