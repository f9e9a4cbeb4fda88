-- dequeue: a job that waits is taken out and its hash deleted.
--
-- KEYS  1 <ns>:queues
-- ARGV  1 namespace   2 job   3 the longest list that is searched (10000)
-- Returns 'dequeued' | 'missing' (no hash) | 'running' | 'ended'; or an error reply that names what is damaged, and then
--       nothing was written.
--
-- Twice is harmless: the second finds no hash. If the job is in none of the short lists and one is longer than ARGV[3],
-- it is marked `end` = `Dequeued` instead, which counts as ended at once, and the claim that meets its ID drops both:
-- LREM on a long list would hold up everybody (about 15 ms per million places).

local job = ARGV[2]
local job_key = key('jobs', job)
local fields, fault = look('HMGET', job_key, 'que', 'las', 'end', 'cls')
if not fields then return redis.error_reply('WRONGTYPE ' .. job_key .. ': ' .. fault) end
if not (fields[1] or fields[4]) then return 'missing' end
if fields[3] == 'Dequeued' then return 'missing' end
if present(fields[3]) then return 'ended' end
local queue, last = fields[1], present(fields[2])
if last then
    local record = look('HMGET', key('attempts', last), 'que', 'fin', 'err') or {}
    local running_in = record[1] or queue
    if running_in then
        local running
        running, fault = look('SISMEMBER', key('processing', running_in), last)
        if not running then return redis.error_reply('WRONGTYPE ' .. key('processing', running_in) .. ': ' .. fault) end
        if running == 1 then return 'running' end
    end
    if present(record[2]) and not record[3] then return 'ended' end
end

if not queue then return redis.error_reply('ERR ' .. job_key .. ' has no field que: nothing tells where the job waits') end
local lists = { key('handoff', queue), key('ready', queue), key('suspects', queue) }
local sound
sound, fault = exists_as('list', unpack(lists))
if sound then sound, fault = exists_as('zset', key('scheduled', queue)) end
if not sound then return redis.error_reply('WRONGTYPE ' .. fault) end

relieve()
local found, long = redis.call('ZREM', key('scheduled', queue), job), false
for _, list in ipairs(lists) do
    if redis.call('LLEN', list) > tonumber(ARGV[3]) then
        long = true
    else
        found = found + redis.call('LREM', list, 0, job)
    end
end
if found > 0 then
    redis.call('DEL', job_key)
    return 'dequeued'
end
if long then
    redis.call('HSET', job_key, 'end', 'Dequeued')
    return 'dequeued'
end
return 'ended'
