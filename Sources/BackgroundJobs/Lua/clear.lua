-- clear: the jobs at the head of a list of a queue are deleted, a bounded step. Each ends as dequeue ends it.
--
-- KEYS  1 <ns>:queues
-- ARGV  1 namespace   2 queue   3 handoff | ready | suspects | scheduled | placed (then 2 is the place)   4 how many at most (500)
-- Returns { IDs taken off the list, jobs deleted, sentences about those that are damaged }. An error reply where a key of the
--       queue is of a wrong type: nothing was done.
--
-- Twice is harmless: what is gone is not there any more. The ID of a job that runs or has ended is taken off and nothing
-- else, as a claim does; so is that of a damaged one, whose key is left for whoever looks into it. A sound one that can't be
-- ended, since a key that its end touches is damaged, stays: at the tail of its list.

local queue, kind, limit = ARGV[2], ARGV[3], tonumber(ARGV[4])
local list, is_scored = key(kind, queue), kind == 'scheduled'
local sound, fault = exists_as(is_scored and 'zset' or 'list', list)
if sound and kind == 'placed' then sound, fault = exists_as('set', prefix .. 'places') end
if sound then sound, fault = sound_queue(kind == 'placed' and string.match(queue, '^[^:]*') or queue) end
if not sound then return redis.error_reply('WRONGTYPE ' .. fault) end

local ids = redis.call(is_scored and 'ZRANGE' or 'LRANGE', list, 0, limit - 1)
relieve()
local deleted, problems, staying, gone = 0, {}, {}, {}
for _, id in ipairs(ids) do
    local state, fields = look_at_waiting(id)
    if type(state) == 'table' then
        problems[#problems + 1] = state.err
        if fields then staying[id] = true end
    elseif state == 'waiting' then
        end_job(id, 'Dequeued', {})
        redis.call('DEL', key('jobs', id))
        deleted = deleted + 1
    elseif fields.over == 'Dequeued' then
        redis.call('DEL', key('jobs', id))
    end
end
if #ids > 0 and not is_scored then redis.call('LPOP', list, #ids) end
for _, id in ipairs(ids) do
    if not staying[id] then
        gone[#gone + 1] = id
    elseif not is_scored then
        redis.call('RPUSH', list, id)
    end
end
if #gone > 0 and is_scored then redis.call('ZREM', list, unpack(gone)) end
if kind == 'placed' and redis.call('LLEN', list) == 0 then redis.call('SREM', prefix .. 'places', queue) end
write_counts()
return { #gone, deleted, problems }
