-- move: the jobs at the head of a list of a queue go to another queue, in their order, a bounded step.
--
-- KEYS  1 <ns>:queues
-- ARGV  1 namespace   2 from   3 to   4 handoff | ready | suspects | scheduled | placed (then 2 is the
--       place)   5 how many at most (500)
-- Returns { IDs taken off the list, IDs that are in the other one now, sentences about those that are damaged }. An error
--       reply where one of the keys is of a wrong type: nothing was done.
--
-- Twice is harmless: each call moves what is there then. Those of `handoff` and of a place go to `ready`. The ID of a job that
-- runs or has ended is dropped, as a claim does; a damaged job, and an ID without a hash, go along as they are, for a claim to
-- record.

local from, to, kind, limit = ARGV[2], ARGV[3], ARGV[4], tonumber(ARGV[5])
local source, target = key(kind, from), key((kind == 'handoff' or kind == 'placed') and 'ready' or kind, to)
local is_scored = kind == 'scheduled'
local sound, fault = exists_as(is_scored and 'zset' or 'list', source, target)
if sound then sound, fault = exists_as('set', prefix .. 'queues') end
if sound and kind == 'placed' then sound, fault = exists_as('set', prefix .. 'places') end
if sound then sound, fault = sound_queue(kind == 'placed' and string.match(from, '^[^:]*') or from) end
if not sound then return redis.error_reply('WRONGTYPE ' .. fault) end

local ids = redis.call(is_scored and 'ZRANGE' or 'LRANGE', source, 0, limit - 1)
relieve()
local problems, pushed, moved, seen = {}, {}, 0, {}
for _, id in ipairs(ids) do
    local state, fields = look_at_waiting(id)
    local goes = state == 'waiting' or state == 'missing'
    if type(state) == 'table' then
        problems[#problems + 1] = state.err
        goes = true
    elseif state == 'missing' and fields.over == 'Dequeued' then
        redis.call('DEL', key('jobs', id))
        goes = false
    end
    if goes and not seen[id] then
        seen[id], moved = true, moved + 1
        -- Its own hash is sound, whatever its end would touch.
        if state == 'waiting' or type(state) == 'table' and fields then
            redis.call('HSET', key('jobs', id), 'que', to)
            if kind == 'placed' then redis.call('HDEL', key('jobs', id), 'pla', 'plt') end
        end
        if is_scored then pushed[#pushed + 1] = redis.call('ZSCORE', source, id) end
        pushed[#pushed + 1] = id
    end
end
if #ids > 0 and is_scored then redis.call('ZREM', source, unpack(ids)) elseif #ids > 0 then redis.call('LPOP', source, #ids) end
if moved > 0 then
    redis.call(is_scored and 'ZADD' or 'RPUSH', target, unpack(pushed))
    redis.call('SADD', prefix .. 'queues', to)
end
if kind == 'placed' and redis.call('LLEN', source) == 0 then redis.call('SREM', prefix .. 'places', from) end
return { #ids, moved, problems }
