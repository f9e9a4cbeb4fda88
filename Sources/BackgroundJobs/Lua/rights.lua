-- rights: which of the commands that the scripts need this user may not run.
--
-- KEYS  1 <ns>:queues
-- ARGV  1 namespace   then for each command: the number of its arguments, its name, its arguments
-- Returns the indexes, from 0, of those that are denied.
--
-- A script that is denied a write half way has done the half before it: there is no rollback. So this is found out at the
-- start, by trying. What is tried touches only keys of a queue, job or attempt named `!`, which is no name, and deletes
-- them again. Twice is harmless: nothing stays.

local denied, at, index = {}, 2, 0
while at <= #ARGV do
    local count = tonumber(ARGV[at])
    -- Only what is said of the user counts: a lack of memory or a wrong type is another matter.
    local _, err = look(unpack(ARGV, at + 1, at + 1 + count))
    if err and (string.find(err, 'user executing the script', 1, true) or string.find(err, 'ACL failure', 1, true)
        or string.find(err, 'NOPERM', 1, true)) then
        denied[#denied + 1] = index
        -- What can't be deleted again is not written.
        if index == 0 then break end
    end
    at, index = at + 2 + count, index + 1
end
return denied
