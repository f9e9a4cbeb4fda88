-- enqueue with a uniqueness lock: the job is queued if nobody holds the lock; else the holder is named, or changed.
--
-- KEYS  1 <ns>:queues
-- ARGV  1 namespace   2 job   3 queue   4 class   5 arguments
--       6 '' | after | at   7 ms   (when it is due)
--       8 digest   9 ms for which the lock is held from then on   10 started | finished
--       11 skip | replace-arguments | replace-time | replace   12 ms after it is due in which it may begin ('' for ever)
--       13 the longest list that is searched (10000)   14 … further fields of the hash, name and value in turn
-- Returns { 'queued', job } or { 'duplicate', the job that holds the lock, 1 if it was changed }; or an error reply that names what is damaged,
--       and then nothing was written.
--
-- No relief: a Redis that is out of memory refuses the first write, and so all of it; but for a new time alone, which adds
-- nothing.
--
-- Twice is harmless: a job whose hash is there has been queued.

local job, queue, digest = ARGV[2], ARGV[3], ARGV[8]
local due = nil
if ARGV[6] == 'after' then due = now + tonumber(ARGV[7]) elseif ARGV[6] == 'at' then due = tonumber(ARGV[7]) end
if due and due <= now then due = nil end
local lock, until_ = key('unique', digest), (due or now) - now + tonumber(ARGV[9])

local sound, fault = exists_as('hash', key('jobs', job))
if sound then sound, fault = exists_as('string', lock) end
if sound then sound, fault = exists_as('list', key('ready', queue)) end
if sound then sound, fault = exists_as('zset', key('scheduled', queue)) end
if sound then sound, fault = exists_as('set', prefix .. 'queues') end
if not sound then return redis.error_reply('WRONGTYPE ' .. fault) end
local there = redis.call('HMGET', key('jobs', job), 'que', 'end')
if there[1] and there[2] ~= 'Dequeued' then return { 'queued', job } end

local holder = redis.call('GET', lock)
if holder then
    local state, fields = look_at_waiting(holder)
    if type(state) == 'table' then return state end
    -- A holder that is gone, or has ended otherwise than by our scripts, holds nothing.
    if state == 'waiting' or state == 'running' then
        local mode, changed = ARGV[11], 0
        if state == 'waiting' and mode ~= 'skip' then
            local time = due or now
            if mode ~= 'replace-time' then
                redis.call('HSET', key('jobs', holder), 'arg', ARGV[5])
                changed = 1
            end
            redis.call('PEXPIRE', lock, string.format('%.0f', until_))
            if mode ~= 'replace-arguments' then
                -- As long after its new time as after its former one.
                local times = redis.call('HMGET', key('jobs', holder), 'exp', 'pat', 'qat')
                local expiry, before = number(times[1]), number(times[2]) or number(times[3]) or time
                local found = take_out(holder, fields.queue, tonumber(ARGV[13]))
                if found then
                    changed = 1
                    if due then schedule(fields.queue, holder, time) else
                        redis.call('HSET', key('jobs', holder), 'pat', time)
                        redis.call('RPUSH', key('ready', fields.queue), holder)
                    end
                    if ARGV[12] ~= '' then
                        redis.call('HSET', key('jobs', holder), 'exp', time + tonumber(ARGV[12]))
                    elseif expiry then
                        redis.call('HSET', key('jobs', holder), 'exp', expiry + time - before)
                    end
                end
            end
        end
        return { 'duplicate', holder, changed }
    end
end

local record = { 'que', queue, 'cls', ARGV[4], 'arg', ARGV[5], 'qat', now, 'unq', digest }
local function add(name, value) record[#record + 1], record[#record + 2] = name, value end
if ARGV[10] == 'started' then add('unu', 'started') end
if ARGV[12] ~= '' then add('exp', (due or now) + tonumber(ARGV[12])) end
for i = 14, #ARGV do record[#record + 1] = ARGV[i] end
redis.call('HSET', key('jobs', job), unpack(record))
-- Of one that was dequeued from a long list the hash is still there.
redis.call('HDEL', key('jobs', job), 'end', 'att', 'las', 'ers', 'crs', 'crt', 'cnl', 'pla', 'plt')
redis.call('SET', lock, job, 'PX', string.format('%.0f', until_))
if due then schedule(queue, job, due) else redis.call('RPUSH', key('ready', queue), job) end
redis.call('SADD', prefix .. 'queues', queue)
return { 'queued', job }
