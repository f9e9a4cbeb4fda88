-- cancel: a job that waits ends as cancelled; the worker of one that runs is told.
--
-- KEYS  1 <ns>:queues
-- ARGV  1 namespace   2 job   3 the longest list that is searched (10000)   4 ID of the attempt that records it
-- Returns 'cancelled' | 'told' | 'ended' | 'missing'; or an error reply that names what is damaged, and then nothing was
--       written.
--
-- Twice is harmless: the second finds a job that has ended, or tells the worker again. The ID of a job in a long list
-- stays there until a claim drops it.

local job = ARGV[2]
local state, fields = look_at_waiting(job)
if state ~= 'running' and state ~= 'waiting' then return state end
relieve()
if state == 'running' then
    local calls = present(fields.node) and key('cancel', fields.node)
    if calls then
        local sound, fault = exists_as('list', calls)
        if not sound then return redis.error_reply('WRONGTYPE ' .. fault) end
    end
    redis.call('HSET', key('jobs', job), 'cnl', 1)
    if calls then
        redis.call('RPUSH', calls, fields.last)
        -- Nobody takes it off where the worker is gone; a worker that was cut off asks for what it has missed.
        redis.call('EXPIRE', calls, 60)
    end
    return 'told'
end
if redis.call('EXISTS', key('attempts', ARGV[4])) == 1 then
    return redis.error_reply('ERR the ID of the record is in use: ' .. shown(key('attempts', ARGV[4])))
end
take_out(job, fields.queue, tonumber(ARGV[3]))
record_unbegun('ended', fields.queue, job, fields.last, ARGV[4], 'Cancelled')
end_job(job, 'Cancelled', { attempt = ARGV[4], err = 'Cancelled' }, 'cnl', 1)
count(fields.queue, 'cancelled', 1)
write_counts()
return 'cancelled'
