-- delete: by hand, members of `completed`, `failed`, `ended` or `dead`.
--
-- KEYS  1 <ns>:queues
-- ARGV  1 namespace   2 queue   3 completed | failed | ended | dead   4 … the members
-- Returns { those that are gone, flat (member, sentence) of those that are damaged }: the others were not there, or have to stay (a dead job's
--       last attempt goes with the job, and a dead job whose attempts can't be deleted stays whole). An error reply where the
--       set is of a wrong type.
--
-- Twice is harmless: what is gone is not there any more.

local sound, fault = exists_as('zset', set_key)
if not sound then return redis.error_reply('WRONGTYPE ' .. fault) end
local members = {}
for i = 4, #ARGV do
    if redis.call('ZSCORE', set_key, ARGV[i]) then members[#members + 1] = ARGV[i] end
end
relieve()
return { remove(members), problems }
