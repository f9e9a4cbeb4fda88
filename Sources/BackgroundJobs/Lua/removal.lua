-- Stands in front of the scripts that remove what is past (behind ties.lua): `completed`, `failed`, `ended`, `dead`.
--
-- An attempt takes its job along if it is the job's last one and the job has ended, but not as `Dead`: a dead job goes
-- with its place in `dead` and then takes its chain of attempts along. A job that goes is marked `end` and expires
-- after five minutes: a late duplicate runs nothing, and a producer that asks again finds it.

local set = ARGV[3]
local set_key = key(set, ARGV[2])
local going, hashes, jobs, problems = {}, {}, {}, {}

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
-- The attempts of the job, the last one first, each with its queue; nil and a sentence where one can't be read, or taken out
-- of where it stands.
local function chain_of(job, attempt)
    local chain = {}
    while attempt and steps < 5000 do
        local record, fault = look('HMGET', key('attempts', attempt), 'prv', 'que', 'job')
        if not record then return nil, key('attempts', attempt) .. ': ' .. fault end
        -- The chain ends where something else stands in the field: nobody else's attempts are deleted.
        if record[3] ~= job then break end
        local sound, wrong = true, nil
        if record[2] then sound, wrong = exists_as('zset', key('failed', record[2]), key('ended', record[2])) end
        if not sound then return nil, wrong end
        chain[#chain + 1] = { attempt, record[2] }
        attempt, steps = present(record[1]), steps + 1
    end
    return chain
end

-- A dead job that can't be deleted whole stays whole.
local function keep(job, fault)
    problems[#problems + 1] = job
    problems[#problems + 1] = 'job ' .. shown(job) .. ' stays as it is: ' .. fault
end

local function look_at_dead(job)
    local fields, fault = look('HMGET', key('jobs', job), 'las', 'end', 'nxt', 'onf')
    if not fields or fields[2] ~= 'Dead' then
        if not fields then return keep(job, key('jobs', job) .. ': ' .. fault) end
        going[#going + 1] = job
        return
    end
    local chain
    chain, fault = chain_of(job, present(fields[1]))
    if not chain then return keep(job, fault) end
    going[#going + 1] = job
    jobs[#jobs + 1] = { job, 'Dead' }
    -- Nobody can retry it any more: what waited for it waits no longer.
    forgo(fields[3], 'the job before it is dead')
    drop_waiting(fields[4])
    for _, link in ipairs(chain) do
        if link[2] then
            for _, ending in ipairs({ 'failed', 'ended' }) do redis.call('ZREM', key(ending, link[2]), link[1]) end
        end
        redis.call('DEL', key('attempts', link[1]))
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
