-- look: what a watcher has to do, in one call. Writes nothing.
--
-- KEYS  1 <ns>:queues
-- ARGV  1 namespace   2 1 to read the names of queues   3 … queues to look at
-- Returns { now, the server's run_id, its role, the names of queues (a sentence where they are of a wrong type, '' if not asked
--       for), how many places there are, ms until the next periodic job is due, then for each queue { ms until the next scheduled
--       job is due, sizes of handoff and processing, and for completed, failed, ended and dead the size and the age of the oldest
--       in ms } }. Times are -1 where there is none. What can't be told, since its key is of a wrong type, counts as much to do,
--       now: whoever then does it finds the fault and reports it.

local much = 9007199254740991

local function size(command, of) return look(command, of) or much end

-- Ms from now to the lowest score, below 0 where it has passed; nil where there is none, 0 where it can't be told.
local function first(of)
    local found = look('ZRANGE', of, 0, 0, 'WITHSCORES')
    if not found then return 0 end
    local score = found[2] and tonumber(found[2])
    if not score or score == math.huge then return nil end
    return math.max(-much, math.min(score - now, much))
end
local function until_first(of)
    local time = first(of)
    return time and math.max(0, time) or -1
end
local function age_of_first(of)
    local time = first(of)
    return time and math.max(0, -time) or -1
end

local names = ''
if ARGV[2] == '1' then
    local fault
    names, fault = look('SMEMBERS', prefix .. 'queues')
    names = names or prefix .. 'queues: ' .. fault
end
local reply = {
    now, string.match(redis.call('INFO', 'server'), 'run_id:(%x*)') or '',
    string.match(redis.call('INFO', 'replication'), 'role:(%a*)') or '', names,
    size('SCARD', prefix .. 'places'), until_first(prefix .. 'crons'),
}
for i = 3, #ARGV do
    local queue = ARGV[i]
    local found = { until_first(key('scheduled', queue)), size('LLEN', key('handoff', queue)), size('SCARD', key('processing', queue)) }
    for _, set in ipairs({ 'completed', 'failed', 'ended', 'dead' }) do
        found[#found + 1] = size('ZCARD', key(set, queue))
        found[#found + 1] = age_of_first(key(set, queue))
    end
    reply[#reply + 1] = found
end
return reply
