-- Stands in front of every script. ARGV[1] is the namespace; KEYS[1] is one key of it, which routes the call in a cluster.
-- A script looks before it takes, since Redis does not roll back: whatever may hold a wrong type or garbage is read with
-- `look` first, and nothing of an item is written until all that it needs has been seen to be sound.

local prefix = ARGV[1] .. ':'
local clock = redis.call('TIME')
local now = clock[1] * 1000 + math.floor(clock[2] / 1000)
-- The same as text: of a number Redis makes text (`%.17g`) at each call that it is given to.
local stamp = string.format('%.0f', now)

local function key(kind, name) return prefix .. kind .. ':' .. name end
-- What these two begin with, where many are made.
local job_prefix, attempt_prefix = key('jobs', ''), key('attempts', '')

-- The reply, or nil and the error text where the key holds a wrong type. Redis does not say which key that is.
local function look(...)
    local reply = redis.pcall(...)
    if type(reply) == 'table' and reply.err then
        if not string.find(reply.err, 'WRONGTYPE', 1, true) then return nil, reply.err end
        local name = select(2, ...)
        return nil, 'WRONGTYPE ' .. name .. ' holds a ' .. redis.call('TYPE', name).ok
    end
    return reply
end

-- A number that a hash field holds, or nil where it holds none or an absurd one: counts and times lie in 0 … 2^53.
local function number(text)
    local value = text and tonumber(text)
    if value and value >= 0 and value <= 9007199254740992 then return math.floor(value) end
    return nil
end

-- A field's text, or nil where it is absent or empty: a field that has no value should not be there.
local function present(text)
    if text and text ~= '' then return text end
    return nil
end

-- What a key or a field holds, fit for a sentence.
local function shown(text) return (string.gsub(string.sub(text, 1, 64), '[^%w_.:@ -]', '?')) end

-- Whether every one of the keys is of this type or missing; else nil and a sentence.
local function exists_as(kind, ...)
    for i = 1, select('#', ...) do
        local found = redis.call('TYPE', (select(i, ...))).ok
        if found ~= 'none' and found ~= kind then return nil, (select(i, ...)) .. ' holds a ' .. found .. ', not a ' .. kind end
    end
    return true
end

-- The first write of a script decides whether Redis refuses it for want of memory: a removal is let through, and so is
-- all that follows (server.c, processCommand; script.c, scriptVerifyOOM). So scripts that relieve begin with this. Where
-- `queues` is of a wrong type the call has counted as a write all the same; any other error (READONLY, MISCONF) has to
-- end the script here, so it is asked for once more.
local function relieve()
    local _, fault = look('SREM', prefix .. 'queues', '')
    if fault and not string.find(fault, 'WRONGTYPE', 1, true) then redis.call('SREM', prefix .. 'queues', '') end
end

local totals, minutes = {}, {}
local function count(queue, field, by, minute_only)
    if not minute_only then
        totals[queue] = totals[queue] or {}
        totals[queue][field] = (totals[queue][field] or 0) + by
    end
    minutes[queue] = minutes[queue] or {}
    minutes[queue][field] = (minutes[queue][field] or 0) + by
end

local function add_counts(counted_key, counts)
    local fields = {}
    for field in pairs(counts) do fields[#fields + 1] = field end
    local before, fault = look('HMGET', counted_key, unpack(fields))
    if not before then return nil, fault end
    local pairs_ = {}
    for i, field in ipairs(fields) do
        pairs_[#pairs_ + 1] = field
        pairs_[#pairs_ + 1] = string.format('%.0f', (number(before[i]) or 0) + counts[field])
    end
    redis.call('HSET', counted_key, unpack(pairs_))
    return true
end

-- Running totals, and those of this minute. A statistics key of a wrong type is left alone: it holds up no job.
-- `report`, if given, is told the queue and a sentence.
local function write_counts(report)
    local minute = string.format('%.0f', math.floor(now / 60000))
    for queue, counts in pairs(totals) do
        local written, fault = add_counts(key('stats', queue), counts)
        if not written and report then report(queue, 'not counted in ' .. key('stats', queue) .. ': ' .. fault) end
    end
    for queue, counts in pairs(minutes) do
        local minute_key = key('stats', queue) .. ':' .. minute
        local written, fault = add_counts(minute_key, counts)
        if written then
            redis.call('EXPIRE', minute_key, 90000)
        elseif report then
            report(queue, 'not counted in ' .. minute_key .. ': ' .. fault)
        end
    end
end
