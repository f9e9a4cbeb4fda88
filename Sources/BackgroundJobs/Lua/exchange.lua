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
-- Returns { exceptions, jobs, notices, paused, short, spent }
--       exceptions: flat (index from 0, "done" | "lost" | a sentence) of the endings that were not simply written
--       jobs: flat, 8 a job (attempt, job, queue, num, cls, arg, qat, 1 if a suspect)
--       notices: flat (queue, sentence) of what was left out, dropped or found damaged
--       paused: names of the queues that are paused   short: 1 if the queues hold no more than what was taken
--       spent: those of the IDs offered again (fresh ones too, where one was used before) whose attempts have ended: they
--       are not to be offered any more
--
-- No error reply but those of Redis itself (READONLY, MISCONF, …), before anything is written.
--
-- Twice is harmless: an ending is written only while its attempt is in `processing` (else it is "done" or "lost"), and
-- an offered ID, fresh or not, that is in `processing` already is returned again and takes nothing new.

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
                run = run + (number(batch.times[i]) and tonumber(batch.times[i]) or 0)
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
        -- Whatever ends an attempt that is to be cancelled, but success, ends it as `Cancelled`.
        if fields.cancelled and ending ~= 'cancelled' then
            msg = msg == '' and err or err .. ': ' .. msg
            err, ending = 'Cancelled', 'cancelled'
        end
        local failed = ending == 'dead' or ending == 'discarded'
        local at_most_once = ending == 'shutdown' and redis.call('HGET', key('attempts', attempt), 'dlv') == 'amo'
        local written = { 'fin', now, 'time', ms, 'err', present(err) or 'Error' }
        if msg ~= '' then
            written[7], written[8] = 'msg', msg
        end
        end_attempt(failed and 'failed' or 'ended', queue, attempt, unpack(written))
        if failed then
            count(queue, 'failed', 1)
            count(queue, 'run', number(ms) and tonumber(ms) or 0, true)
        end
        if counted[ending] then count(queue, counted[ending], 1) end
        for _, sentence in ipairs(fields.faults) do notice(queue, 'job ' .. shown(job) .. ': ' .. sentence) end
        if fields.gone or fields.over then
            notice(queue, 'job ' .. shown(job) .. ': only its attempt ' .. attempt .. ' ended: ' .. (fields.gone or fields.over))
        elseif ending == 'cancelled' then
            end_job(job, 'Cancelled')
        elseif ending == 'dead' then
            bury(queue, job, 'ers', fields.errors + 1)
        elseif ending == 'discarded' then
            redis.call('HSET', key('jobs', job), 'ers', fields.errors + 1, 'end', 'Discarded')
        elseif at_most_once then
            bury(queue, job)
        else
            redis.call('LPUSH', key(fields.crashes > 1 and 'suspects' or 'ready', queue), job)
        end
    end
end

-- 3. What is to run next.
local wanted, bytes, suspect_allowed = tonumber(next_argument()), tonumber(next_argument()), next_argument() == '1'
wanted = math.min(wanted, 128)
local claims = wanted > 0
local queues = {}
for i = 1, tonumber(next_argument()) do queues[i] = next_argument() end
local reoffered = tonumber(next_argument())
local first_offer, last_offer = at, #ARGV

-- A field that is absent is handed out as null: a hole in the table would end the reply there.
local function hand_out(attempt, job, queue, num, fields, suspect)
    local n = #jobs
    jobs[n + 1], jobs[n + 2], jobs[n + 3], jobs[n + 4] = attempt, job, queue, num
    jobs[n + 5], jobs[n + 6], jobs[n + 7], jobs[n + 8] = fields[1], fields[2], fields[3], suspect and 1 or 0
end

-- Offers that an earlier call, whose reply was lost, has used. Those that are running are handed out once more, in place
-- of something new; those whose attempts have ended are not used again.
local used, granted = {}, {}
-- So is a fresh offer that has an attempt already: the same call may come twice. Else that attempt would be written over,
-- and its job be lost. One command a call, and no more as a rule.
local fresh = first_offer + reoffered
if claims and fresh <= last_offer then
    local keys = {}
    for i = fresh, last_offer do keys[#keys + 1] = key('attempts', ARGV[i]) end
    if redis.call('EXISTS', unpack(keys)) > 0 then reoffered = last_offer - first_offer + 1 end
end
if reoffered > 0 then
    for _, queue in ipairs(queues) do
        local members = look('SMISMEMBER', key('processing', queue), unpack(ARGV, first_offer, first_offer + reoffered - 1))
        for i = 1, members and reoffered or 0 do
            local attempt = ARGV[first_offer + i - 1]
            local record = members[i] == 1 and not used[attempt] and look('HMGET', key('attempts', attempt), 'nod', 'job', 'num')
            if record and record[1] == node and record[2] then
                local fields = look('HMGET', key('jobs', record[2]), 'cls', 'arg', 'qat', 'crs') or { false, false, false, false }
                local suspect = (number(fields[4]) or 0) > 1
                used[attempt] = true
                if too_large(fields[2]) then
                    local _, wrong = end_as_too_large(queue, attempt, record[2], fields[2])
                    notice(queue, 'job ' .. shown(record[2]) .. ': ' .. (wrong or too_large(fields[2])))
                else
                    redis.call('HSET', key('attempts', attempt), 'wrk', client)
                    hand_out(attempt, record[2], queue, record[3] or 0, fields, suspect)
                    granted[attempt] = true
                    wanted = wanted - 1
                    bytes = bytes - (fields[2] and #fields[2] or 0)
                    if suspect then suspect_allowed = false end
                end
            end
        end
    end
    for i = first_offer, first_offer + reoffered - 1 do
        if not used[ARGV[i]] and redis.call('EXISTS', key('attempts', ARGV[i])) == 1 then
            used[ARGV[i]] = true
            if i >= fresh then notice('', 'attempt ' .. ARGV[i] .. ' passed over: its ID has been used before') end
        end
    end
end

local offer = first_offer
local function next_offer()
    while offer <= last_offer and used[ARGV[offer]] do offer = offer + 1 end
    offer = offer + 1
    return ARGV[offer - 1]
end

-- Writes the attempt hash under the next offered ID; one that is taken by a key of another type is passed over.
local function begin_attempt(job, queue, num, last, delivery)
    local attempt = next_offer()
    while attempt do
        local record = { 'sta', now, 'job', job, 'wrk', client, 'que', queue, 'nod', node, 'num', num }
        if present(last) then record[#record + 1], record[#record + 2] = 'prv', last end
        if delivery == 'amo' then record[#record + 1], record[#record + 2] = 'dlv', delivery end
        local written, fault = look('HSET', key('attempts', attempt), unpack(record))
        if written then
            used[attempt] = true
            return attempt
        end
        notice(queue, 'attempt ' .. attempt .. ' passed over: ' .. fault)
        attempt = next_offer()
    end
    return nil
end

-- A job that cannot run at all is recorded as an attempt with the number 0.
local function reject(job, queue, err, msg, last)
    local attempt = begin_attempt(string.sub(job, 1, 64), queue, 0, last)
    if not attempt then return nil end
    redis.call('HSET', key('attempts', attempt), 'fin', now, 'time', 0, 'err', err, 'msg', msg)
    redis.call('ZADD', key('failed', queue), now, attempt)
    count(queue, err == 'Bad Job' and 'bad' or 'missing', 1)
    notice(queue, 'job ' .. shown(job) .. ': ' .. err .. ', ' .. msg .. ' (attempt ' .. attempt .. ')')
    return attempt
end

-- A number that is reported where the field holds something else.
local function counted_field(queue, job, name, text)
    local value = number(text)
    if text and not value then notice(queue, 'job ' .. shown(job) .. ': ' .. name .. ' is no number: ' .. shown(text)) end
    return value
end

local short, taken = true, {}
-- Looks at the IDs at the head of a list and begins what can be begun; returns how many of them are dealt with.
local function begin(queue, ids, begun, suspect)
    local waited = 0
    local dealt = 0
    for _, id in ipairs(ids) do
        if wanted <= 0 then break end
        local job_key = key('jobs', id)
        local fields, fault = look('HMGET', job_key, 'cls', 'arg', 'qat', 'att', 'las', 'end', 'pat', 'dlv')
        local over = fields and present(fields[6])
        local last = fields and present(fields[5])
        if taken[id] then
            notice(queue, 'dropped a second copy of job ' .. shown(id))
        elseif over then
            if over == 'Dequeued' then
                redis.call('DEL', job_key)
            elseif over ~= 'Cancelled' then
                notice(queue, 'dropped job ' .. shown(id) .. ': it has ended as ' .. shown(over))
            end
        elseif last and is_running_or_done(last) then
            notice(queue, 'dropped job ' .. shown(id) .. ': its last attempt is running or has succeeded')
        elseif not fields or not present(fields[1]) or too_large(fields[2]) then
            local attempt
            if not fields then
                attempt = reject(id, queue, 'Bad Job', fault)
            elseif redis.call('EXISTS', job_key) == 0 then
                attempt = reject(id, queue, 'Job Not Found', 'there is no hash ' .. shown(job_key))
            else
                attempt = reject(id, queue, 'Bad Job', too_large(fields[2]) or 'the hash has no field cls', last)
                if attempt then redis.call('HSET', job_key, 'end', 'Bad Job', 'las', attempt) end
            end
            if not attempt then
                short = false
                break
            end
            taken[id] = true
            wanted = wanted - 1
        else
            local size = fields[2] and #fields[2] or 0
            if size > bytes and #jobs > 0 then
                wanted = 0
                break
            end
            local num = (counted_field(queue, id, 'att', fields[4]) or 0) + 1
            local attempt = begin_attempt(id, queue, num, last, fields[8])
            if not attempt then
                short = false
                break
            end
            redis.call('HSET', job_key, 'att', num, 'las', attempt)
            begun[#begun + 1] = attempt
            taken[id], granted[attempt] = true, true
            hand_out(attempt, id, queue, num, fields, suspect)
            local queued, due = counted_field(queue, id, 'qat', fields[3]), counted_field(queue, id, 'pat', fields[7])
            waited = waited + math.max(0, now - (due or queued or now))
            bytes = bytes - size
            wanted = wanted - 1
        end
        dealt = dealt + 1
    end
    if waited > 0 then count(queue, 'wait', waited, true) end
    return dealt
end

-- Takes from one queue. All keys that a claim writes have been seen to be sound.
local function claim_from(queue)
    local asked, begun = wanted, {}
    -- A suspect first: a queue that is always full would never let it come up.
    local suspected = suspect_allowed and redis.call('LRANGE', key('suspects', queue), 0, 0) or {}
    local at_hand = redis.call('LRANGE', key('handoff', queue), 0, asked - 1)
    local waiting = redis.call('LRANGE', key('ready', queue), 0, asked - 1)
    if suspected[1] and begin(queue, suspected, begun, true) > 0 then
        redis.call('LPOP', key('suspects', queue))
        if #begun > 0 then suspect_allowed = false else short = false end
    end
    local dealt = begin(queue, at_hand, begun, false)
    if dealt > 0 then redis.call('LPOP', key('handoff', queue), dealt) end
    dealt = begin(queue, waiting, begun, false)
    if dealt > 0 then redis.call('LPOP', key('ready', queue), dealt) end
    -- What was looked at has been dropped, or cost no fiber: there may be more behind it.
    if wanted > 0 and (#at_hand == asked or #waiting == asked) then short = false end
    if #begun > 0 then redis.call('SADD', key('processing', queue), unpack(begun)) end
end

if claims and #queues > 0 then
    local stopped, wrong = look('SMISMEMBER', prefix .. 'paused', unpack(queues))
    if not stopped then
        notice('', 'no queue counts as paused: ' .. wrong)
        stopped = {}
    end
    for q, queue in ipairs(queues) do
        if stopped[q] == 1 then
            paused[#paused + 1] = queue
        elseif wanted > 0 then
            -- All that an ending would need too: what is begun while it can't be ended would be begun again for ever.
            local sound, fault = exists_as('list', key('handoff', queue), key('ready', queue), key('suspects', queue))
            if sound then sound, fault = exists_as('set', key('processing', queue)) end
            if sound then
                sound, fault = exists_as('zset', key('completed', queue), key('failed', queue), key('ended', queue),
                    key('dead', queue), key('scheduled', queue))
            end
            if sound then
                claim_from(queue)
            else
                notice(queue, 'left out: ' .. fault)
            end
        end
    end
    if wanted <= 0 then short = false end
end

local spent = {}
for i = first_offer, first_offer + reoffered - 1 do
    if used[ARGV[i]] and not granted[ARGV[i]] then spent[#spent + 1] = ARGV[i] end
end

write_counts(notice)
return { exceptions, jobs, notices, paused, short and 1 or 0, spent }
