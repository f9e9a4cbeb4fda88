-- dequeue: a job that waits is taken out and its hash deleted.
--
-- KEYS  1 <ns>:queues
-- ARGV  1 namespace   2 job   3 the longest list that is searched (10000)
-- Returns 'dequeued' | 'missing' (no hash) | 'running' | 'ended'; or an error reply that names what is damaged, and then
--       nothing was written.
--
-- Twice is harmless: the second finds no hash. Where the ID is in none of the lists that are short enough to be searched, the
-- hash is marked `end` = `Dequeued` instead, which counts as ended at once, and the claim that meets its ID drops both:
-- LREM on a long list would hold up everybody (about 15 ms per million places).

local job = ARGV[2]
local state, fields = look_at_waiting(job)
if state ~= 'waiting' then return state end
relieve()
local found = take_out(job, fields.queue, tonumber(ARGV[3]))
end_job(job, 'Dequeued', {})
if found or fields.blocked then redis.call('DEL', key('jobs', job)) end
write_counts()
return 'dequeued'
