-- adopt: a worker that has reconnected takes its attempts over to its new connection.
--
-- KEYS  1 <ns>:queues
-- ARGV  1 namespace   2 node   3 the new client ID
--       4 number of queues, then their names (where an offered ID is looked for)
--       + number of attempts it answers for, then for each: attempt, queue
--       + the attempt IDs offered in calls that got no reply
-- Returns { verdicts, granted, now }
--       verdicts: for each attempt in turn, the offered ones last: 'yours' | 'done' | 'lost' | 'never' | a sentence
--       granted: flat, 9 a job as `exchange` returns them: the offered ones that were begun   now: the server's time
--
-- An attempt whose job has got arguments beyond the limit since it began is ended as `Bad Job`, and is "lost".
--
-- No error reply but those of Redis itself (READONLY, MISCONF, …), before anything is written.
--
-- Twice is harmless: it only sets `wrk` to the connection that asks, and counts the adoption.

local node, client = ARGV[2], ARGV[3]
local at = 4
local function next_argument()
    at = at + 1
    return ARGV[at - 1]
end

local verdicts, granted = {}, {}
local function verdict(text) verdicts[#verdicts + 1] = text end

-- Sets `wrk`, if this node runs the attempt. Else nil and the verdict. One that is offered needs its job.
local function take_over(attempt, needs_job)
    local record, fault = look('HMGET', key('attempts', attempt), 'num', 'crm', 'crw', 'nod', 'ado', 'job')
    if not record then return nil, fault end
    if record[4] ~= node or (needs_job and not record[6]) then return nil, 'lost' end
    redis.call('HSET', key('attempts', attempt), 'wrk', client, 'ado', (number(record[5]) or 0) + 1)
    return record
end

-- The verdict, where this node's attempt can't be handed out since its job's arguments are too large: it has been ended.
local function refused(attempt, queue)
    local record = look('HMGET', key('attempts', attempt), 'nod', 'job')
    if not record or record[1] ~= node or not record[2] then return nil end
    local arguments = look('HGET', key('jobs', record[2]), 'arg')
    if not too_large(arguments) then return nil end
    local ended, fault = end_as_too_large(queue, attempt, record[2], arguments)
    return ended and 'lost' or fault
end

relieve()
local queues = {}
for i = 1, tonumber(next_argument()) do queues[i] = next_argument() end

for i = 1, tonumber(next_argument()) do
    local attempt, queue = next_argument(), next_argument()
    local running, fault = look('SISMEMBER', key('processing', queue), attempt)
    if not running then
        verdict(fault)
    elseif running == 1 then
        local record, why = take_over(attempt)
        verdict(record and 'yours' or why)
    else
        verdict(settled(attempt))
    end
end

while at <= #ARGV do
    local attempt = next_argument()
    local found, fault
    for _, queue in ipairs(queues) do
        local running, wrong = look('SISMEMBER', key('processing', queue), attempt)
        if running == 1 then found = queue end
        fault = fault or wrong
    end
    local refusal = found and refused(attempt, found)
    if refusal then
        verdict(refusal)
    elseif found then
        local record, why = take_over(attempt, true)
        if record then hand_out_again(granted, attempt, record[6], found, record) end
        verdict(record and 'yours' or why)
    elseif redis.call('EXISTS', key('attempts', attempt)) == 0 then
        verdict('never')
    else
        local ending = settled(attempt)
        -- Where a queue's `processing` can't be read, it may be running there.
        verdict(ending == 'lost' and fault or ending)
    end
end
write_counts()
return { verdicts, granted, now }
