-- adopt: a worker that has reconnected takes its attempts over to its new connection.
--
-- KEYS  1 <ns>:queues
-- ARGV  1 namespace   2 node   3 the new client ID
--       4 number of queues, then their names (where an offered ID is looked for)
--       + number of attempts it answers for, then for each: attempt, queue
--       + the attempt IDs offered in calls that got no reply
-- Returns { verdicts, granted }
--       verdicts: for each attempt in turn, the offered ones last: 'yours' | 'done' | 'lost' | 'never' | a sentence
--       granted: flat, 8 a job as `exchange` returns them: the offered ones that were begun
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

local function take_over(attempt)
    local record, fault = look('HMGET', key('attempts', attempt), 'nod', 'ado', 'job', 'num')
    if not record then return nil, fault end
    if record[1] ~= node then return nil, 'lost' end
    redis.call('HSET', key('attempts', attempt), 'wrk', client, 'ado', (number(record[2]) or 0) + 1)
    return record
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
        local ending = look('HGET', key('attempts', attempt), 'fin')
        verdict(ending and 'done' or 'lost')
    end
end

while at <= #ARGV do
    local attempt = next_argument()
    local found
    for _, queue in ipairs(queues) do
        if look('SISMEMBER', key('processing', queue), attempt) == 1 then found = queue end
    end
    if found then
        local record, why = take_over(attempt)
        if record and record[3] then
            local fields = look('HMGET', key('jobs', record[3]), 'cls', 'arg', 'qat') or {}
            local n = #granted
            granted[n + 1], granted[n + 2], granted[n + 3], granted[n + 4] = attempt, record[3], found, record[4] or 0
            granted[n + 5], granted[n + 6], granted[n + 7], granted[n + 8] = fields[1], fields[2], fields[3], 0
        end
        verdict(record and 'yours' or why)
    elseif redis.call('EXISTS', key('attempts', attempt)) == 1 then
        local ending = look('HGET', key('attempts', attempt), 'fin')
        verdict(ending and 'done' or 'lost')
    else
        verdict('never')
    end
end
return { verdicts, granted }
