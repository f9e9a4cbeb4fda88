-- trim: the oldest of `completed`, `failed`, `ended` or `dead` beyond the retention, a bounded step at a time.
--
-- KEYS  1 <ns>:queues
-- ARGV  1 namespace   2 queue   3 completed | failed | ended | dead
--       4 ms to keep ('' for ever)   5 number to keep ('' all)   6 how many to look at (500)   7 rank to start at
-- Returns { removed, kept, more }: kept is how many of those looked at must stay (start behind them next time);
--       more is 1 if there is more to do. An error reply where the set is of a wrong type.
--
-- An attempt takes its job along if it is the job's last one and the job has ended, but not as `Dead`: a dead job goes
-- with its place in `dead` and then takes its chain of attempts along. A job that goes is marked `end` and expires
-- after five minutes: a late duplicate runs nothing, and a producer that asks again finds it.
--
-- Twice is harmless: what is gone is not there any more.

local queue, set = ARGV[2], ARGV[3]
local set_key = key(set, queue)
local sound, fault = exists_as('zset', set_key)
if not sound then return redis.error_reply('WRONGTYPE ' .. fault) end

local excess = 0
if ARGV[5] ~= '' then excess = redis.call('ZCARD', set_key) - tonumber(ARGV[5]) end
if ARGV[4] ~= '' then
    excess = math.max(excess, redis.call('ZCOUNT', set_key, '-inf', string.format('%.0f', now - tonumber(ARGV[4]))))
end
local from, limit = tonumber(ARGV[7]), tonumber(ARGV[6])
local last = math.min(excess, from + limit) - 1
if last < from then return { 0, 0, 0 } end

local members = redis.call('ZRANGE', set_key, from, last)
local going, hashes, jobs = {}, {}, {}

local function look_at_attempt(attempt)
    local record = look('HGET', key('attempts', attempt), 'job')
    if record then
        local job = look('HMGET', key('jobs', record), 'las', 'end')
        if job and job[1] == attempt then
            if job[2] == 'Dead' then return end
            if set == 'completed' then
                jobs[#jobs + 1] = { record, present(job[2]) or 'Completed' }
            elseif present(job[2]) then
                jobs[#jobs + 1] = { record, job[2] }
            end
        end
    end
    going[#going + 1] = attempt
    hashes[#hashes + 1] = key('attempts', attempt)
end

-- A dead job's attempts stand in `failed` and `ended` of the queues they ran on. The step ends at 5000 of them; those
-- left over go by the retention of the sets they stand in.
local steps = 0
local function look_at_dead(job)
    going[#going + 1] = job
    local fields = look('HMGET', key('jobs', job), 'las', 'end')
    if not fields or fields[2] ~= 'Dead' then return end
    jobs[#jobs + 1] = { job, 'Dead' }
    local attempt = present(fields[1])
    while attempt and steps < 5000 do
        local record = look('HMGET', key('attempts', attempt), 'prv', 'que', 'job')
        -- The chain ends where something else stands in the field: nobody else's attempts are deleted.
        if not record or record[3] ~= job then return end
        if record[2] then
            for _, ending in ipairs({ 'failed', 'ended' }) do
                if exists_as('zset', key(ending, record[2])) then redis.call('ZREM', key(ending, record[2]), attempt) end
            end
        end
        redis.call('DEL', key('attempts', attempt))
        attempt, steps = present(record[1]), steps + 1
    end
end

relieve()
for _, member in ipairs(members) do
    if set == 'dead' then look_at_dead(member) else look_at_attempt(member) end
end
if #going > 0 then redis.call('ZREM', set_key, unpack(going)) end
if #hashes > 0 then redis.call('DEL', unpack(hashes)) end
for _, job in ipairs(jobs) do
    redis.call('HSET', key('jobs', job[1]), 'end', job[2])
    redis.call('EXPIRE', key('jobs', job[1]), 300)
end
return { #going, #members - #going, last + 1 < excess and 1 or 0 }
