-- Stands in front of the scripts that remove what is past (behind ties.lua): `completed`, `failed`, `ended`, `dead`.
--
-- An attempt takes its job along if it is the job's last one and the job has ended, but not as `Dead`: a dead job goes
-- with its place in `dead` and then takes its chain of attempts along. A job that goes is marked `end` and expires
-- after five minutes: a late duplicate runs nothing, and a producer that asks again finds it.

local set = ARGV[3]
local set_key = key(set, ARGV[2])
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
    local fields = look('HMGET', key('jobs', job), 'las', 'end', 'nxt', 'onf')
    if not fields or fields[2] ~= 'Dead' then return end
    jobs[#jobs + 1] = { job, 'Dead' }
    -- Nobody can retry it any more: what waited for it waits no longer.
    forgo(fields[3], 'the job before it is dead')
    drop_waiting(fields[4])
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

-- Removes members of the set; returns those that are gone. The others have to stay.
local function remove(members)
    for _, member in ipairs(members) do
        if set == 'dead' then look_at_dead(member) else look_at_attempt(member) end
    end
    if #going > 0 then redis.call('ZREM', set_key, unpack(going)) end
    if #hashes > 0 then redis.call('DEL', unpack(hashes)) end
    for _, job in ipairs(jobs) do
        redis.call('HSET', key('jobs', job[1]), 'end', job[2])
        redis.call('EXPIRE', key('jobs', job[1]), 300)
    end
    write_counts()
    return going
end
