-- together: enqueues jobs that belong together, all of them or none: a transaction, a chain, a batch; opens and closes
-- batches.
--
-- KEYS  1 <ns>:queues
-- ARGV  1 namespace   2 enqueue | open | add | close   3 batch ('' for enqueue)
--       open: 4 parent ('' if none)   5 description ('' if none)   6, 7, 8 IDs of the callbacks: when all have ended, when all
--             have succeeded, when one is dead ('' if none)   9 … the callbacks, as for add
--       enqueue, add: 4 … for each job: its ID, its queue, 1 if it waits for another job or for the batch, '' | after | at
--             and ms (when it is due), ms after that in which it may begin ('' for ever), number of further fields, their
--             names and values
-- Returns 'done' | 'missing' (no such batch, or parent) | 'over' (it is complete, so nothing can be added) | 'deep' (too many
--       batches are around it); or an error reply that names what is damaged. In each case but 'done' nothing was written.
--
-- No relief: a Redis that is out of memory refuses the first write, and so all of it.
--
-- Twice is harmless: a batch that is there is not opened again, a job that is there is not added again. Jobs that wait for
-- others are written only along with one that does not: where that is there, all of them were, and some may be gone.

local verb, batch = ARGV[2], ARGV[3]
local batch_key = key('batch', batch)

-- 1. Look.
local sound, fault = exists_as('set', prefix .. 'queues')
if sound and batch ~= '' then sound, fault = exists_as('hash', batch_key) end
if not sound then return redis.error_reply('WRONGTYPE ' .. fault) end
local fields = batch ~= '' and read_batch(batch)
local parent = verb == 'open' and present(ARGV[4])
if verb == 'open' then
    if fields then return 'done' end
    if parent then
        sound, fault = exists_as('hash', key('batch', parent))
        if not sound then return redis.error_reply('WRONGTYPE ' .. fault) end
        local around = read_batch(parent)
        if not around then return 'missing' end
        if around.fin then return 'over' end
        -- The end of a job is told to so many batches and no more.
        local depth = 1
        while around do
            depth = depth + 1
            if depth > deepest then return 'deep' end
            around = present(around.prn) and read_batch(around.prn)
        end
    end
elseif batch ~= '' and not fields then
    return 'missing'
end

local new, at = {}, verb == 'open' and 9 or 4
local seen, begins = {}, verb == 'open'
while verb ~= 'close' and at <= #ARGV do
    local job = {
        id = ARGV[at], queue = ARGV[at + 1], waits = ARGV[at + 2] == '1', expiry = ARGV[at + 5],
        first = at + 7, last = at + 6 + 2 * tonumber(ARGV[at + 6]),
    }
    local when, time = ARGV[at + 3], tonumber(ARGV[at + 4])
    if when == 'after' then job.due = now + time elseif when == 'at' and time > now then job.due = time end
    at = job.last + 1
    sound, fault = exists_as('hash', key('jobs', job.id))
    if sound then sound, fault = exists_as('list', key('ready', job.queue)) end
    if sound then sound, fault = exists_as('zset', key('scheduled', job.queue)) end
    if not sound then return redis.error_reply('WRONGTYPE ' .. fault) end
    -- Of one that was dequeued from a long list the hash is still there.
    job.is_left = redis.call('HGET', key('jobs', job.id), 'end') == 'Dequeued'
    if not seen[job.id] and (job.is_left or redis.call('EXISTS', key('jobs', job.id)) == 0) then
        new[#new + 1] = job
        if not job.waits then begins = true end
    end
    seen[job.id] = true
end
if not begins then new = {} end
-- Those that are there have been added by an earlier call.
if verb == 'add' and fields.fin and #new > 0 then return 'over' end
if verb == 'close' then
    sound, fault = sound_ties(nil, nil, batch)
    if not sound then return redis.error_reply('WRONGTYPE ' .. fault) end
end

-- 2. Write.
local function write(job)
    local function put()
        redis.call('HSET', key('jobs', job.id), 'que', job.queue, 'qat', now, unpack(ARGV, job.first, job.last))
    end
    put()
    if job.is_left then
        redis.call('DEL', key('jobs', job.id))
        put()
    end
    if job.waits then return redis.call('HSET', key('jobs', job.id), 'blk', 1) end
    if batch ~= '' then redis.call('HSET', key('jobs', job.id), 'bat', batch) end
    if job.expiry ~= '' then redis.call('HSET', key('jobs', job.id), 'exp', (job.due or now) + tonumber(job.expiry)) end
    if job.due then
        redis.call('HSET', key('jobs', job.id), 'pat', job.due)
        redis.call('ZADD', key('scheduled', job.queue), job.due, job.id)
    else
        redis.call('RPUSH', key('ready', job.queue), job.id)
    end
    redis.call('SADD', prefix .. 'queues', job.queue)
end
for _, job in ipairs(new) do write(job) end

if verb == 'open' then
    local record = { 'qat', now, 'opn', 1, 'tot', 0, 'pen', 0, 'suc', 0, 'ded', 0, 'oth', 0 }
    for i, name in ipairs({ 'prn', 'dsc', 'cmp', 'scs', 'dth' }) do
        if ARGV[3 + i] ~= '' then record[#record + 1], record[#record + 2] = name, ARGV[3 + i] end
    end
    redis.call('HSET', batch_key, unpack(record))
    if parent then
        local around = read_batch(parent)
        redis.call('HSET', key('batch', parent), 'tot', around.tot + 1, 'pen', around.pen + 1)
    end
elseif verb == 'add' then
    if #new > 0 then redis.call('HSET', batch_key, 'tot', fields.tot + #new, 'pen', fields.pen + #new) end
elseif verb == 'close' and fields.opn then
    redis.call('HDEL', batch_key, 'opn')
    if fields.pen == 0 then count_in_batch(complete_batch(batch, fields)) end
end
return 'done'
