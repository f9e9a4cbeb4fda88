-- retry: by hand. A job that has ended without success goes to the tail of `ready`, as new; one in `scheduled` at once.
--
-- KEYS  1 <ns>:queues
-- ARGV  1 namespace   2 1 if only those that are dead or scheduled are meant   3 … jobs
-- Returns a verdict for each: 'queued' | 'waiting' | 'running' | 'ended' (it succeeded, or can't be taken back) |
--       'missing' | a sentence that says what is damaged
--
-- Twice is harmless: the second finds a job that waits.

local mendable = { Dead = true, Discarded = true, Cancelled = true, Expired = true }

local function retry(job)
    local state, fields = look_at_waiting(job)
    if type(state) == 'table' then return state.err end
    local mends = state == 'ended' and (fields.over == 'Dead' or (ARGV[2] ~= '1' and mendable[fields.over]))
    if state ~= 'waiting' and not mends then return state end
    -- Its record was deleted or trimmed: the hash stays for some minutes, so that a late copy of the ID runs nothing.
    if mends and fields.last and redis.call('EXISTS', key('attempts', fields.last)) == 0 then return 'missing' end
    local queue = fields.queue
    if not queue then return key('jobs', job) .. ' has no field que' end
    local sound, fault = exists_as('list', key('handoff', queue), key('ready', queue), key('suspects', queue))
    if sound then sound, fault = exists_as('zset', key('dead', queue), key('scheduled', queue), key('dead', fields.last_queue or queue)) end
    if sound then sound, fault = exists_as('set', prefix .. 'queues') end
    if sound and mends then sound, fault = sound_place(queue, fields.place) end
    if sound and mends then sound, fault = sound_ties(nil, nil, fields.batch) end
    if not sound then return fault end
    if not mends and redis.call('ZREM', key('scheduled', queue), job) == 0 then return 'waiting' end
    if mends then
        -- A cancelled one may still stand in a list that was too long to be searched. The others don't, and to search for
        -- each of hundreds would hold up everybody.
        if fields.over == 'Cancelled' then take_out(job, queue) end
        redis.call('HDEL', key('jobs', job), 'end', 'ers', 'crs', 'crt', 'cnl', 'exp', 'pla', 'plt')
        recall_in_batch(fields.batch, fields.over)
        recall_in_chain(fields.next_job, fields.on_failure)
        redis.call('ZREM', key('dead', queue), job)
        if fields.last_queue then redis.call('ZREM', key('dead', fields.last_queue), job) end
    end
    redis.call('HSET', key('jobs', job), 'pat', now)
    -- Its age is counted anew.
    if mends then redis.call('HSET', key('jobs', job), 'qat', now) end
    redis.call('RPUSH', key('ready', queue), job)
    redis.call('SADD', prefix .. 'queues', queue)
    return 'queued'
end

relieve()
local verdicts = {}
for i = 3, #ARGV do verdicts[#verdicts + 1] = retry(ARGV[i]) end
return verdicts
