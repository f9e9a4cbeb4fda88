-- Stands in front of the scripts for periodic jobs (behind endings.lua and waiting.lua).
--
-- A periodic job is a member of `crons`, whose score is when it is due next, or +inf while it is paused or when it has ended;
-- and the hash `cron:<name>`.

local crons = prefix .. 'crons'
local never = '+inf'

-- Fields that tell how a periodic job stands, and not what it is.
local standing = { pau = true, las = true, lat = true, fis = true, ski = true, ['end'] = true }
-- Fields that the jobs it fires don't get: those that are its own, and those that a job gets otherwise.
local kept = {
    exp = true, tz = true, own = true, mis = true, ovl = true, unt = true, cnt = true, ttl = true, pau = true, las = true,
    lat = true, fis = true, ski = true, ['end'] = true, qat = true, pat = true, att = true, ers = true, crs = true, crt = true,
    cnl = true, ori = true, unq = true, unu = true, crn = true, due = true,
    nxt = true, onf = true, bat = true, blk = true, stp = true, flr = true, bsm = true, aft = true, dly = true, exr = true,
    pla = true, plt = true,
}

-- More could not be passed on to HSET at once, and nobody declares as many.
local most_values = 2000

-- A score in whole ms, as text; nil for +inf.
local function whole(score)
    local value = tonumber(score)
    if value > 9007199254740992 then return nil end
    return string.format('%.0f', math.max(0, math.floor(value)))
end

-- The fields of a periodic job, and whether it has any; nil and a sentence where its key is of a wrong type.
local function read_periodic(name)
    local flat, fault = look('HGETALL', key('cron', name))
    if not flat then return nil, key('cron', name) .. ': ' .. fault end
    if #flat > most_values then return nil, key('cron', name) .. string.format(' has %d fields', #flat / 2) end
    local fields = {}
    for i = 1, #flat, 2 do fields[flat[i]] = flat[i + 1] end
    return fields, #flat > 0
end

-- Whether a job of this ID can be enqueued for it; else nil and a sentence.
local function may_enqueue(name, fields, job)
    if not present(fields.cls) or not present(fields.que) then
        return nil, key('cron', name) .. ' has no field ' .. (present(fields.cls) and 'que' or 'cls')
    end
    if #fields.que > 128 or string.find(fields.que, '[^%w_.@-]') then
        return nil, key('cron', name) .. ': que is no name of a queue: ' .. shown(fields.que)
    end
    local sound, fault = exists_as('list', key('ready', fields.que))
    if sound then sound, fault = exists_as('set', prefix .. 'queues') end
    if sound then sound, fault = exists_as('none', key('jobs', job)) end
    return sound, fault
end

-- Enqueues a job of it; `due` is the time that it is for, if it is for one.
local function enqueue_for(name, fields, job, due)
    local record = { 'qat', now, 'crn', name }
    local function add(field, value) record[#record + 1], record[#record + 2] = field, value end
    if due then add('due', due) end
    local life = number(fields.ttl)
    if life then add('exp', string.format('%.0f', now + life)) end
    for field, value in pairs(fields) do
        if not kept[field] then add(field, value) end
    end
    redis.call('HSET', key('jobs', job), unpack(record))
    redis.call('RPUSH', key('ready', fields.que), job)
    redis.call('SADD', prefix .. 'queues', fields.que)
    redis.call('HSET', key('cron', name), 'las', job)
end
