-- note: what running jobs say of themselves, kept in their attempts.
--
-- KEYS  1 <ns>:queues
-- ARGV  1 namespace   then for each attempt: its ID, its queue, number of fields, their names and values
-- Returns how many attempts were written to. One that is not running, or is damaged, is passed over.
--
-- Twice is harmless: the same fields are written again, and only while the attempt is running.

relieve()
local at, written = 2, 0
while at <= #ARGV do
    local attempt, queue, count = ARGV[at], ARGV[at + 1], tonumber(ARGV[at + 2])
    local running = look('SISMEMBER', key('processing', queue), attempt)
    if running == 1 and exists_as('hash', key('attempts', attempt)) then
        redis.call('HSET', key('attempts', attempt), unpack(ARGV, at + 3, at + 2 + 2 * count))
        written = written + 1
    end
    at = at + 3 + 2 * count
end
return written
