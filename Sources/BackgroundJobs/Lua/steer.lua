-- steer: somebody removes, pauses, resumes, ends or runs a periodic job.
--
-- KEYS  1 <ns>:queues
-- ARGV  1 namespace   2 name   3 remove | pause | resume | end | run
--       4 resume: when it is due next; end: why; run: the ID of the job   5, 6 resume: exp and tz by which that was found
-- Returns 'done' | 'missing' | 'ended' (pause, resume, end: it has ended before) | 'idle' (resume: it is not paused) |
--       'changed' (resume: it has been declared anew meanwhile); or an error reply that names what is damaged, and then
--       nothing was written.
--
-- Twice is harmless: the second finds it so. A job that is there already is not enqueued again.

local name, action = ARGV[2], ARGV[3]
local cron = key('cron', name)
local sound, fault = exists_as('zset', crons)
if not sound then return redis.error_reply('WRONGTYPE ' .. fault) end

if action == 'remove' then
    -- Whatever it holds: this is also how a damaged one is got rid of.
    local removed = redis.call('ZREM', crons, name) + redis.call('DEL', cron)
    return removed > 0 and 'done' or 'missing'
end

local fields, is_there = read_periodic(name)
if not fields then return redis.error_reply('WRONGTYPE ' .. is_there) end
if not is_there then return 'missing' end

if action == 'run' then
    if look('HGET', key('jobs', ARGV[4]), 'que') then return 'done' end
    sound, fault = may_enqueue(name, fields, ARGV[4])
    if not sound then return redis.error_reply('ERR ' .. fault) end
    enqueue_for(name, fields, ARGV[4])
    return 'done'
end

if present(fields['end']) then return 'ended' end
if action == 'pause' then
    relieve()
    redis.call('HSET', cron, 'pau', 1)
    redis.call('ZADD', crons, never, name)
elseif action == 'resume' then
    if fields.pau ~= '1' then return 'idle' end
    if (fields.exp or '') ~= ARGV[5] or (fields.tz or '') ~= ARGV[6] then return 'changed' end
    redis.call('HDEL', cron, 'pau')
    redis.call('ZADD', crons, ARGV[4], name)
elseif action == 'end' then
    relieve()
    redis.call('HSET', cron, 'end', ARGV[4])
    redis.call('ZADD', crons, never, name)
end
return 'done'
