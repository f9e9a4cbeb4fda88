-- dequeue: a job that waits is taken out and its hash deleted.
--
-- KEYS  1 <ns>:queues
-- ARGV  1 namespace   2 job   3 the longest list that is searched (10000)
-- Returns 'dequeued' | 'missing' (no hash) | 'running' | 'ended'; or an error reply that names what is damaged.
--
-- Twice is harmless: the second finds no hash. In a list longer than ARGV[3] the job is marked `end` = `Dequeued`
-- instead, which counts as ended at once, and the claim that meets its ID drops both: LREM on a long list would hold
-- up everybody (about 15 ms per million places).

local job = ARGV[2]
local job_key = key('jobs', job)
local fields, fault = look('HMGET', job_key, 'que', 'las', 'end', 'cls')
if not fields then return redis.error_reply('WRONGTYPE ' .. job_key .. ': ' .. fault) end
if not (fields[1] or fields[4]) then return 'missing' end
if fields[3] == 'Dequeued' then return 'missing' end
if fields[3] then return 'ended' end
if fields[2] then
    local last = look('HMGET', key('attempts', fields[2]), 'que', 'fin', 'err') or {}
    if last[1] and look('SISMEMBER', key('processing', last[1]), fields[2]) == 1 then return 'running' end
    if last[2] and not last[3] then return 'ended' end
end

local queue = fields[1]
if not queue then return redis.error_reply('ERR ' .. job_key .. ' has no field que: nothing tells where the job waits') end
local lists = { key('handoff', queue), key('ready', queue), key('suspects', queue) }
local sound
sound, fault = exists_as('list', unpack(lists))
if sound then sound, fault = exists_as('zset', key('scheduled', queue)) end
if not sound then return redis.error_reply('WRONGTYPE ' .. fault) end

relieve()
if redis.call('ZREM', key('scheduled', queue), job) == 1 then
    redis.call('DEL', job_key)
    return 'dequeued'
end
for _, list in ipairs(lists) do
    if redis.call('LLEN', list) > tonumber(ARGV[3]) then
        redis.call('HSET', job_key, 'end', 'Dequeued')
        return 'dequeued'
    end
    if redis.call('LREM', list, 1, job) > 0 then
        redis.call('DEL', job_key)
        return 'dequeued'
    end
end
return 'ended'
