-- The second half of exchange, behind exchange.lua: what the worker is handed.

-- 3. What is to run next.
local wanted, bytes, suspect_allowed = tonumber(next_argument()), tonumber(next_argument()), next_argument() == '1'
wanted = math.min(wanted, 128)
local claims = wanted > 0
local usual_delivery, class_rules, no_rules = next_argument(), {}, {}
local usual_rule = usual_delivery == 'amo' and 'amo' or nil
for _ = 1, tonumber(next_argument()) do
    class_rules[next_argument()] = { delivery = next_argument(), retries = next_argument(), window = next_argument() }
end
local shared, queues, own = tonumber(next_argument()), {}, {}
for i = 1, tonumber(next_argument()) do
    queues[i] = next_argument()
    own[queues[i]] = tonumber(next_argument())
end
-- How many jobs may still be taken from a queue: on the fibers that are its own, and those that all share.
local function room(queue) return math.min(wanted, own[queue] + math.max(0, shared)) end
local function has_room(queue) return wanted > 0 and (shared > 0 or own[queue] > 0) end
local function take_fiber(queue)
    wanted = wanted - 1
    if own[queue] > 0 then own[queue] = own[queue] - 1 else shared = shared - 1 end
end
local reoffered = tonumber(next_argument())
local first_offer, last_offer = at, #ARGV

-- Offers that an earlier call, whose reply was lost, has used. Those that are running are handed out once more, in place
-- of something new; those whose attempts have ended are not used again.
local used, spent = {}, {}
local function pass_over(attempt) notice('', 'attempt ' .. attempt .. ' passed over: its ID has been used before') end
-- So are fresh offers, where the first of them has an attempt already: the same call may come twice. They are used in their
-- order, so the first was used if any was, and its record is there for as long as any worker waits for an answer.
local fresh = first_offer + reoffered
if claims and fresh <= last_offer and redis.call('EXISTS', attempt_prefix .. ARGV[fresh]) == 1 then
    reoffered = last_offer - first_offer + 1
end
if reoffered > 0 then
    local running_again = {}
    for _, queue in ipairs(queues) do
        local members = look('SMISMEMBER', key('processing', queue), unpack(ARGV, first_offer, first_offer + reoffered - 1))
        for i = 1, members and reoffered or 0 do
            local attempt = ARGV[first_offer + i - 1]
            local record = members[i] == 1 and not used[attempt]
                and look('HMGET', key('attempts', attempt), 'num', 'crm', 'crw', 'nod', 'job')
            if record and record[4] == node and record[5] then
                local arguments = look('HGET', key('jobs', record[5]), 'arg')
                used[attempt] = true
                if too_large(arguments) then
                    local _, wrong = end_as_too_large(queue, attempt, record[5], arguments)
                    notice(queue, 'job ' .. shown(record[5]) .. ': ' .. (wrong or too_large(arguments)))
                else
                    redis.call('HSET', key('attempts', attempt), 'wrk', client)
                    local _, suspect = hand_out_again(jobs, attempt, record[5], queue, record)
                    running_again[attempt] = true
                    take_fiber(queue)
                    bytes = bytes - (arguments and #arguments or 0)
                    if suspect then suspect_allowed = false end
                end
            end
        end
    end
    for i = first_offer, first_offer + reoffered - 1 do
        if not used[ARGV[i]] and redis.call('EXISTS', key('attempts', ARGV[i])) == 1 then
            used[ARGV[i]] = true
            if i >= fresh then pass_over(ARGV[i]) end
        end
        if used[ARGV[i]] and not running_again[ARGV[i]] then spent[#spent + 1] = ARGV[i] end
    end
end

local offer = first_offer
-- How many to look at in one go, and the first that has not been looked at: an attempt of another call would be written
-- over, and its job be lost.
local needed, unseen = 1, math.max(fresh + 1, first_offer + reoffered)
local function look_at_offers()
    local keys = {}
    for i = unseen, math.min(last_offer, unseen + needed - 1) do keys[#keys + 1] = attempt_prefix .. ARGV[i] end
    if redis.call('EXISTS', unpack(keys)) > 0 then
        for i, record in ipairs(keys) do
            if redis.call('EXISTS', record) == 1 then used[ARGV[unseen + i - 1]] = true end
        end
    end
    unseen = unseen + #keys
end
local function next_offer()
    while offer <= last_offer do
        if offer >= unseen then look_at_offers() end
        local attempt = ARGV[offer]
        offer = offer + 1
        if not used[attempt] then
            used[attempt] = true
            return attempt
        end
        if offer > first_offer + reoffered then pass_over(attempt) end
    end
end

-- A number that is reported where the field holds something else.
local function counted_field(queue, job, name, text)
    local value = number(text)
    if text and not value then notice(queue, 'job ' .. shown(job) .. ': ' .. name .. ' is no number: ' .. shown(text)) end
    return value
end

-- How a job is delivered and how many crashes it is forgiven: nil where it is as usual.
local function rules_of(queue, job, fields)
    local class = class_rules[fields.cls]
    if not (class or fields.dlv or fields.crm or fields.crw) then return usual_rule end
    class = class or no_rules
    local delivery = fields.dlv
    if delivery ~= 'amo' and delivery ~= 'alo' then
        if delivery then notice(queue, 'job ' .. shown(job) .. ': dlv is neither amo nor alo: ' .. shown(delivery)) end
        delivery = present(class.delivery) or usual_delivery
    end
    local budget = fields.crm == 'all' and 'all' or counted_field(queue, job, 'crm', fields.crm)
        or (class.retries == 'all' and 'all' or number(class.retries))
    local window = counted_field(queue, job, 'crw', fields.crw) or number(class.window)
    return delivery == 'amo' and delivery or nil, budget, window
end

-- Writes the attempt hash under the next offered ID, of which there is no key; nil where there is none left.
local function begin_attempt(job, queue, num, last, delivery, budget, window)
    local attempt = next_offer()
    if not attempt then return nil end
    local record = attempt_prefix .. attempt
    redis.call('HSET', record, 'sta', stamp, 'job', job, 'wrk', client, 'que', queue, 'nod', node, 'num', num)
    if last then redis.call('HSET', record, 'prv', last) end
    if delivery then redis.call('HSET', record, 'dlv', delivery) end
    if budget then redis.call('HSET', record, 'crm', budget) end
    if window then redis.call('HSET', record, 'crw', window) end
    return attempt
end

-- A job that is not to begin is recorded as an attempt with the number 0.
local function reject(set, counter, job, queue, err, msg, last)
    local attempt = begin_attempt(string.sub(job, 1, 64), queue, 0, last)
    if not attempt then return nil end
    if offer <= first_offer + reoffered then spent[#spent + 1] = attempt end
    redis.call('HSET', key('attempts', attempt), 'fin', now, 'time', 0, 'err', err)
    if msg then redis.call('HSET', key('attempts', attempt), 'msg', msg) end
    redis.call('ZADD', key(set, queue), now, attempt)
    count(queue, counter, 1)
    if err ~= 'Cancelled' then
        notice(queue, 'job ' .. shown(job) .. ': ' .. err .. ', ' .. msg .. ' (attempt ' .. attempt .. ')')
    end
    return attempt
end

-- Records why a job is not to begin, where that is so. Returns nil where it may; else whether there was an ID for the record.
local function refuse(queue, job, fields, fault, last)
    if not fields then
        return reject('failed', 'bad', job, queue, 'Bad Job', fault) ~= nil
    elseif not next(fields) then
        return reject('failed', 'missing', job, queue, 'Job Not Found', 'there is no hash ' .. shown(key('jobs', job))) ~= nil
    end
    local set, counter, ending, msg
    local expiry = fields.exp and counted_field(queue, job, 'exp', fields.exp)
    if not present(fields.cls) or too_large(fields.arg) then
        set, counter, ending = 'failed', 'bad', 'Bad Job'
        msg = too_large(fields.arg) or 'the hash has no field cls'
    elseif fields.cnl == '1' then
        set, counter, ending = 'ended', 'cancelled', 'Cancelled'
    elseif expiry and now > expiry and not last then
        set, counter, ending = 'ended', 'expired', 'Expired'
        msg = string.format('%.0f ms too late', now - expiry)
    else
        return nil
    end
    local sound, wrong = sound_ties(fields.nxt, fields.onf, fields.bat)
    if not sound then
        -- What is called when it ends would be lost.
        notice(queue, 'job ' .. shown(job) .. ' is to end as ' .. ending .. ', and is put off for 10 s: ' .. wrong)
        schedule(queue, job, now + 10000)
        return true
    end
    local attempt = reject(set, counter, job, queue, ending, msg, last)
    if attempt then end_job(job, ending, { attempt = attempt, err = ending, msg = msg }, 'las', attempt) end
    return attempt ~= nil
end

-- Jobs that are for some nodes only wait in lists of their own. `places` holds the names of these lists, `<queue>:on:<name>`
-- and `<queue>:avoid:<name>`. One command a claim, where there are none.
local name = string.match(node, '^(.*)%-%d+%-%x%x%x%x%x%x%x%x$') or node
-- By queue, the lists whose jobs may run here; and which are known to exist.
local open_places, listed = {}, {}
local function find_places()
    local members, wrong = look('SRANDMEMBER', prefix .. 'places', 1000)
    if not members then return notice('', 'no job that was set aside is looked for: ' .. wrong) end
    if #members == 0 then return end
    table.sort(members)
    for _, queue in ipairs(queues) do open_places[queue] = { queue .. ':on:' .. name } end
    for _, member in ipairs(members) do
        local queue, kind, of = string.match(member, '^([^:]*):(%a+):(.*)$')
        listed[member] = true
        if kind == 'avoid' and of ~= name and open_places[queue] then table.insert(open_places[queue], member) end
    end
end

-- To wake those who may run what this claim puts aside: notes, by the name of their list. Each wakes one worker.
local woken = {}
local function wake(list, note)
    woken[list] = woken[list] or {}
    if #woken[list] < 16 then table.insert(woken[list], note) end
end
local function write_notes()
    for list, notes in pairs(woken) do
        local length, wrong = look('LLEN', key('wake', list))
        if not length then
            notice('', 'nobody is woken: ' .. wrong)
        elseif length < 16 then
            redis.call('RPUSH', key('wake', list), unpack(notes, 1, math.min(#notes, 16 - length)))
            redis.call('EXPIRE', key('wake', list), 60)
        end
    end
end

-- Where a job has to wait, since it is not for this node, as kind and name; nil where it may run here.
local function place_of(queue, job, fields)
    if fields.pla == 'any' then return nil end
    local kind, of = 'on', present(fields.on)
    if not of then kind, of = 'avoid', present(fields.avo) end
    if not of or (kind == 'on') == (of == name) then return nil end
    local fault
    if #of > 40 or string.find(of, '[^%w_.-]') then
        fault = shown(of) .. ' is no name of a node'
    else
        local sound, wrong = exists_as('list', key('placed', queue .. ':' .. kind .. ':' .. of))
        if sound then sound, wrong = exists_as('set', prefix .. 'places') end
        if sound then return kind, of end
        fault = wrong
    end
    notice(queue, 'job ' .. shown(job) .. ': may run on any node: ' .. fault)
    return nil
end

local function set_aside(queue, job, kind, of)
    local place = queue .. ':' .. kind .. ':' .. of
    redis.call('RPUSH', key('placed', place), job)
    redis.call('SADD', prefix .. 'places', place)
    redis.call('HSET', key('jobs', job), 'pla', kind .. ':' .. of, 'plt', now)
    if kind == 'on' then wake(place, '0 on') else wake(queue, '0 avoid ' .. of) end
end

local short, taken, waited = true, {}, 0
-- Deals with an ID that stands in `from`: `suspects`, `placed`, or `handoff` or `ready`. Returns true if it is to be taken off, false if it has
-- to stay with all behind it, 'stay' if it alone has to.
local function deal(queue, id, begun, from)
    local fields, extra = read_job(id)
    local over = fields and present(fields['end'])
    local last = fields and present(fields.las)
    if taken[id] then
        notice(queue, 'dropped a second copy of job ' .. shown(id))
        return true
    elseif over then
        if over == 'Dequeued' then
            redis.call('DEL', key('jobs', id))
        elseif over ~= 'Cancelled' then
            notice(queue, 'dropped job ' .. shown(id) .. ': it has ended as ' .. shown(over))
        end
        return true
    elseif last and is_running_or_done(last) then
        notice(queue, 'dropped job ' .. shown(id) .. ': its last attempt is running or has succeeded')
        return true
    end
    local refused = refuse(queue, id, fields, extra, last)
    if refused then
        taken[id] = true
        wanted = wanted - 1
        return true
    elseif refused == false then
        short = false
        return false
    end
    local kind, of
    if fields.on or fields.avo then kind, of = place_of(queue, id, fields) end
    if kind then
        set_aside(queue, id, kind, of)
        return true
    end
    local delivery, budget, window = rules_of(queue, id, fields)
    local suspect = suspicion(fields, budget or usual_retries, window or usual_window)
    if suspect == 0 and from == 'suspects' then suspect = 1 end
    if suspect > 0 and not suspect_allowed then
        if from == 'placed' then return 'stay' end
        -- This worker runs one already. The next claim that may take one finds it there.
        redis.call('RPUSH', key('suspects', queue), id)
        wake(queue, '0 suspect')
        return true
    end
    local size = (fields.arg and #fields.arg or 0) + (fields.stp and #fields.stp or 0)
    if size > bytes and #jobs > 0 then
        wanted = 0
        return false
    end
    local num = fields.att and string.format('%.0f', (counted_field(queue, id, 'att', fields.att) or 0) + 1) or '1'
    local attempt = begin_attempt(id, queue, num, last, delivery, budget, window)
    if not attempt then
        short = false
        return false
    end
    redis.call('HSET', job_prefix .. id, 'att', num, 'las', attempt)
    if fields.pla then redis.call('HDEL', key('jobs', id), 'pla', 'plt') end
    if fields.unu == 'started' then release_lock(id, fields.unq) end
    begun[#begun + 1] = attempt
    taken[id] = true
    hand_out(jobs, attempt, id, queue, num, fields, extra, suspect)
    local since = counted_field(queue, id, 'qat', fields.qat)
    if fields.pat then since = counted_field(queue, id, 'pat', fields.pat) or since end
    if since and since < now then waited = waited + (now - since) end
    bytes = bytes - size
    take_fiber(queue)
    if suspect > 0 then suspect_allowed = false end
    return true
end

-- Begins what can be begun of the IDs at the head of a list; returns how many of them are dealt with.
local function begin(queue, ids, begun, from)
    local dealt = 0
    waited = 0
    for _, id in ipairs(ids) do
        if not has_room(queue) or not deal(queue, id, begun, from) then break end
        dealt = dealt + 1
    end
    if waited > 0 then count(queue, 'wait', waited, true) end
    return dealt
end

-- Takes from one of the lists of jobs that were set aside, and may run here. Suspects among them are passed over where this
-- worker runs one: they wait here, and not among the others, for this worker's name.
local function claim_placed(queue, place, begun)
    local list, gone = key('placed', place), 0
    local window = room(queue) + 15
    local ids, wrong = look('LRANGE', list, 0, window - 1)
    if not ids then return notice(queue, 'left out: ' .. list .. ': ' .. wrong) end
    waited = 0
    for _, id in ipairs(ids) do
        local dealt = has_room(queue) and deal(queue, id, begun, 'placed')
        if not dealt then break end
        if dealt ~= 'stay' then
            redis.call('LREM', list, 1, id)
            gone = gone + 1
        end
    end
    if waited > 0 then count(queue, 'wait', waited, true) end
    if gone > 0 and #ids == window then short = false end
    if (gone > 0 or #ids == 0 and listed[place]) and redis.call('LLEN', list) == 0 then
        redis.call('SREM', prefix .. 'places', place)
    end
end

-- Takes from one queue. All keys that a claim writes have been seen to be sound.
local function claim_from(queue)
    local asked, begun = room(queue), {}
    -- A suspect first: a queue that is always full would never let it come up.
    local suspected = suspect_allowed and redis.call('LRANGE', key('suspects', queue), 0, 0) or {}
    local at_hand = redis.call('LRANGE', key('handoff', queue), 0, asked - 1)
    local waiting = redis.call('LRANGE', key('ready', queue), 0, asked - 1)
    needed = math.max(1, #suspected + #at_hand + #waiting, open_places[queue] and asked or 0)
    if suspected[1] and begin(queue, suspected, begun, 'suspects') > 0 then
        redis.call('LPOP', key('suspects', queue))
        if #begun == 0 then short = false end
    end
    for _, place in ipairs(open_places[queue] or {}) do
        if has_room(queue) then claim_placed(queue, place, begun) end
    end
    local dealt = begin(queue, at_hand, begun)
    if dealt > 0 then redis.call('LPOP', key('handoff', queue), dealt) end
    dealt = begin(queue, waiting, begun)
    if dealt > 0 then redis.call('LPOP', key('ready', queue), dealt) end
    -- What was looked at has been dropped, or cost no fiber: there may be more behind it.
    if #at_hand == asked or #waiting == asked or not has_room(queue) then short = false end
    if #begun > 0 then redis.call('SADD', key('processing', queue), unpack(begun)) end
end

-- A wait that was armed before a queue was paused may move an ID to `handoff`: it goes back to the head of `ready`. That
-- wakes the next wait that is still armed, and none is armed anew.
local function put_back(queue)
    if not exists_as('list', key('handoff', queue), key('ready', queue)) then return end
    local ids = redis.call('LRANGE', key('handoff', queue), 0, 127)
    for i = #ids, 1, -1 do redis.call('LPUSH', key('ready', queue), ids[i]) end
    if #ids > 0 then redis.call('LPOP', key('handoff', queue), #ids) end
end

if claims and #queues > 0 then
    local stopped, wrong = look('SMISMEMBER', prefix .. 'paused', unpack(queues))
    if not stopped then
        notice('', 'no queue counts as paused: ' .. prefix .. 'paused: ' .. wrong)
        stopped = {}
    end
    find_places()
    for q, queue in ipairs(queues) do
        if stopped[q] == 1 then
            paused[#paused + 1] = queue
            put_back(queue)
        elseif has_room(queue) then
            -- All that an ending would need too: what is begun while it can't be ended would be begun again for ever.
            local sound, fault = exists_as('list', key('handoff', queue), key('ready', queue), key('suspects', queue))
            if sound then sound, fault = exists_as('set', key('processing', queue)) end
            if sound then
                sound, fault = exists_as('zset', key('completed', queue), key('failed', queue), key('ended', queue),
                    key('dead', queue), key('scheduled', queue))
            end
            if sound then
                claim_from(queue)
            else
                notice(queue, 'left out: ' .. fault)
            end
        end
    end
    if wanted <= 0 then short = false end
    write_notes()
end

write_counts(notice)
return { exceptions, jobs, notices, paused, short and 1 or 0, spent, now }
