-- await: how jobs have ended; for those that have not, a producer is noted, to be told when they do.
--
-- KEYS  1 <ns>:queues
-- ARGV  1 namespace   2 the producer's token: the name of its list of notes   3 ms for which it is noted   4 … jobs
-- Returns for each job '' (it has not ended, and the producer is noted) or what the note would say: JSON with job, end,
--       attempt, err, msg, out, those that are absent left out; end is "Missing" where there is no such job. A sentence that
--       begins with ! says what is damaged.
--
-- Twice is harmless: a producer is noted once, and for longer.

local listener, time = ARGV[2], tonumber(ARGV[3])
local answers = {}

local function outcome(job, how, attempt, record)
    local text = '{"job":' .. cjson.encode(job) .. ',"end":' .. cjson.encode(how)
    if attempt then text = text .. ',"attempt":' .. cjson.encode(attempt) end
    for i, name in ipairs({ 'err', 'msg', 'out' }) do
        if record and present(record[i]) then text = text .. ',"' .. name .. '":' .. cjson.encode(record[i]) end
    end
    return text .. '}'
end

-- How the job stands for which this one waits, though others stand between them: 'Dead' or 'Missing' and its ID; nil where
-- the chain may go on. What was found is kept, since many steps of a chain may be asked for.
local found = {}
local function stuck_behind(job)
    local passed, how, by = {}, nil, nil
    for _ = 1, 1000 do
        if found[job] then
            how, by = found[job][1], found[job][2]
            break
        end
        passed[#passed + 1] = job
        local fields = look('HMGET', key('jobs', job), 'blk', 'aft')
        if not fields or fields[1] ~= '1' or not present(fields[2]) then break end
        job = fields[2]
        local before = look('HMGET', key('jobs', job), 'cls', 'que', 'end')
        if before and not (before[1] or before[2]) then
            how, by = 'Missing', job
            break
        elseif before and before[3] == 'Dead' then
            how, by = 'Dead', job
            break
        end
    end
    for _, step in ipairs(passed) do found[step] = { how, by } end
    return how, by
end

local function answer(job)
    local fields, fault = look('HMGET', key('jobs', job), 'cls', 'que', 'end', 'las')
    if not fields then return '!' .. key('jobs', job) .. ': ' .. fault end
    if not (fields[1] or fields[2]) then return outcome(job, 'Missing') end
    local over, last = present(fields[3]), present(fields[4])
    local record = last and look('HMGET', key('attempts', last), 'err', 'msg', 'out', 'fin')
    if over == 'Dequeued' then return outcome(job, 'Missing') end
    if over then return outcome(job, over, last, record) end
    if record and present(record[4]) and not record[1] then return outcome(job, 'Completed', last, record) end
    local how, by = stuck_behind(job)
    if how == 'Missing' then
        return outcome(job, how, nil, { false, 'the job before it, ' .. by .. ', is not there any more' })
    elseif how then
        local attempt = look('HGET', key('jobs', by), 'las')
        record = attempt and look('HMGET', key('attempts', attempt), 'err', 'msg')
        return outcome(job, how, attempt or nil, record)
    end
    local sound, wrong = exists_as('set', key('awaited', job))
    if not sound then return '!' .. wrong end
    redis.call('SADD', key('awaited', job), listener)
    redis.call('PEXPIRE', key('awaited', job), time)
    return ''
end

local sound, wrong = exists_as('string', prefix .. 'awaited')
if not sound then return redis.error_reply('WRONGTYPE ' .. wrong) end
relieve()
-- So that those who end jobs need not look for each.
redis.call('SET', prefix .. 'awaited', 1, 'PX', time)
for i = 4, #ARGV do answers[#answers + 1] = answer(ARGV[i]) end
return answers
