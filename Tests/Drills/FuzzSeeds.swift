import BackgroundRedis

/// Conversations of Redis.
enum RESPSeeds {
    static let all = [
        "+OK\r\n-ERR no such thing\r\n:0\r\n:-9223372036854775808\r\n$0\r\n\r\n$-1\r\n*-1\r\n*0\r\n",
        "*3\r\n*2\r\n:1\r\n$2\r\n\r\n\r\n*0\r\n*3\r\n-X y\r\n+\r\n*1\r\n$-1\r\n", "$5\r\nhello\r\n",
        "*1\r\n$3\r\nfoo\r\n:1\r\n",
        "*7\r\n*0\r\n*0\r\n*0\r\n*0\r\n:0\r\n*0\r\n:1795000000000\r\n",
    ]

    /// The replies, or nil where it is not the protocol.
    static func read(_ parts: [ArraySlice<UInt8>]) -> [RESPValue]? {
        let reader = RESPReader(maximumReplyBytes: 1 << 20)
        var replies: [RESPValue] = []
        var isRefused = false
        for part in parts where !isRefused {
            Array(part).withUnsafeBytes { bytes in
                do throws(RedisError) {
                    try reader.feed(bytes) { replies.append($0) }
                } catch {
                    isRefused = true
                }
            }
        }
        return isRefused ? nil : replies
    }
}

/// What else inputs are made of.
enum RecordSeeds {
    /// Fields as `name=value` lines.
    static func fields(_ bytes: [UInt8]) -> [String: [UInt8]] {
        var fields: [String: [UInt8]] = [:]
        for line in bytes.split(separator: UInt8(ascii: "\n")) {
            let parts = line.split(separator: UInt8(ascii: "="), maxSplits: 1, omittingEmptySubsequences: false)
            fields[String(decoding: parts[0], as: UTF8.self)] = parts.count > 1 ? Array(parts[1]) : []
        }
        return fields
    }

    static let jobs = [
        "que=high\ncls=Jobs::Nap\narg={\"sleep\":1}\nqat=1764576000000\npat=1764576300000\natt=2\nlas=x\ners=1\ncrs=1\ncrt=1\nend=Dead",
        "ret=3\nbck=fixed:5000\nrfr=3600000\nrqu=slow\ntmo=30000\nexp=1764576060000\ndlv=amo\ncrm=all\ncrw=0\nunq=a\nunu=started",
        "on=web1\navo=web2\nfbk=30000\npla=any\nplt=1\nori=y\nhdr={\"traceparent\":\"00\"}\nbck=list:1,2\ncrm=3",
        "blk=1\ndly=5000\nexr=60000\nnxt=a\naft=b\nonf=c\nbat=d\nstp=[{\"job\":\"a\",\"cls\":\"B\",\"out\":6}]\nflr={\"err\":\"x\"}\nbsm={}",
    ]
    static let attempts = [
        "sta=1764576000100\njob=x\nwrk=342\nque=high\nfin=1764576001101\ntime=1001.2\nerr=Exit 3\nmsg=no\nnum=1\nprv=y\nnod=web1-1-0",
        "ado=1\ncrm=all\ncrw=0\ndlv=amo\nout={\"sum\":6}\nadd={}\nprg=0.4\nprm=rows\nnte={\"rows\":\"120\"}\ntmo=5\ntime=-1\nprg=nan",
    ]
    static let crons = [
        "0 3 * * *", "*/15 9-17 * * MON-FRI", "0 0 29 2 *", "30 0 0 1 JAN,jul *", "@daily", "every 5m", "every 1.5s",
        "0 2 31 * 7",
        "59 59 23 31 12 *",
    ]
    static let files = [
        "redis: redis://10.0.0.5:6379/0\nheartbeat: 5s\nworker:\n  queues: [high, low]\n  fibers: 50\nwatcher:\n  keep-completed: 2h,10000\n",
        "# nothing\n", "worker: {queues: {high: 5, low: 1}, drain: true}\ncli:\n  log-level: debug\n", "a: &x [*x]\n",
        "--- |\n text\n...\n",
    ]
    static let workerLines = [
        "--queues high:5,low:1 --fibers 10 --demo",
        "-q a,b --order round-robin --reserve a=1 --heartbeat 1s --dead-after 3s -v",
        "--mode at-most-once --drain --no-with-watcher --timeout 5s --name web1 -r redis://h:1/2 -n bg --log-format json",
    ]
    static let watcherLines = [
        "--interval 1s --grace 6s --second-look 0.5 --dead-after 30s --heartbeat 5s",
        "--keep-completed all --keep-dead 0,5 --queues a,b",
    ]
    static let cliLines = [
        "enqueue Nap {\"sleep\":1} -q high --in 5m --retries 3 --backoff fixed:5s --timeout 30s --unique 60s --on web1 --fallback never",
        "enqueue Nap --at 2026-12-01T08:00:00Z --id x --crash-retries all --wait --within 5s", "status -q a",
        "jobs failed -q high",
        "retry --all -q high --class Mail", "cron add nightly every?5m Beat", "queue pause a b", "dead list -q a",
        "prune --force",
    ]
}
