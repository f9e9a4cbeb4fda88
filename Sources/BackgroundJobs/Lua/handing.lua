-- Stands in front of the scripts that hand out jobs.

-- Fields of a job's hash that its worker is told.
local told = {
    ret = true, bck = true, rfr = true, rqu = true, tmo = true, ers = true, unq = true, nxt = true, onf = true, bat = true,
    pat = true, stp = true, flr = true, bsm = true, hdr = true, crn = true, due = true,
}

-- The fields of a job's hash, and those that are told as a flat list (false if there are none); nil and the error text where the key holds
-- a wrong type. A hash that is missing has no fields.
local function read_job(job)
    local flat, fault = look('HGETALL', job_prefix .. job)
    if not flat then return nil, fault end
    local fields, extra = {}, false
    for i = 1, #flat, 2 do
        local name, value = flat[i], flat[i + 1]
        fields[name] = value
        if told[name] then
            extra = extra or {}
            extra[#extra + 1] = name
            extra[#extra + 1] = value
        end
    end
    return fields, extra
end

-- 1 if the job is a suspect, since its worker vanished twice or more; 2 if the next time would be the last; else 0.
local function suspicion(fields, budget, window)
    local crashes = fields.crs and crashes_within(window, number(fields.crs) or 0, number(fields.crt)) or 0
    if crashes < 2 then return 0 end
    return budget ~= 'all' and crashes >= budget and 2 or 1
end

-- Adds a job to those handed out, 9 a job. A field that is absent is handed out as null: a hole in the table would end
-- the reply there.
local function hand_out(jobs, attempt, job, queue, num, fields, extra, suspect)
    local n = #jobs
    jobs[n + 1], jobs[n + 2], jobs[n + 3], jobs[n + 4] = attempt, job, queue, num
    jobs[n + 5], jobs[n + 6], jobs[n + 7] = fields.cls or false, fields.arg or false, fields.qat or false
    jobs[n + 8], jobs[n + 9] = suspect, extra
end

-- Hands out the job of an attempt that was begun before; returns its fields and whether it is a suspect.
local function hand_out_again(jobs, attempt, job, queue, record)
    local fields, extra = read_job(job)
    if not fields then fields, extra = {}, false end
    local budget = record[2] == 'all' and 'all' or number(record[2]) or usual_retries
    local suspect = suspicion(fields, budget, number(record[3]) or usual_window)
    hand_out(jobs, attempt, job, queue, record[1] or 0, fields, extra, suspect)
    return fields, suspect > 0
end
