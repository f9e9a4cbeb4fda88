/// What the error replies of Redis mean for whoever runs it.
enum ServerErrorAdvice {
    /// The error code that a reply begins with.
    ///
    /// Before Redis 7 an error inside a script arrives as `ERR Error running script (…): …: -READONLY You can't …`;
    /// what counts is the code within.
    static func code(of reply: String) -> String {
        if reply.hasPrefix("ERR Error running script"), let dash = reply.firstRange(of: ": -") {
            return firstWord(reply[dash.upperBound...])
        }
        return firstWord(reply[...])
    }

    private static func firstWord(_ text: Substring) -> String {
        String(text.prefix { $0 != " " && !$0.isNewline })
    }

    /// Whether a later attempt may succeed as things are.
    static func isTransient(_ code: String) -> Bool {
        switch code {
        case "BUSY", "LOADING", "MASTERDOWN", "CLUSTERDOWN", "TRYAGAIN", "READONLY", "MISCONF", "NOREPLICAS", "OOM",
            "UNBLOCKED":
            true
        default:
            false
        }
    }

    /// Whether the server only has to finish what it is doing, so that the connection is worth keeping.
    static func isPassing(_ code: String) -> Bool {
        code == "LOADING" || code == "BUSY" || code == "MASTERDOWN"
    }

    /// Whether the server says by this that the connection leads to the wrong place.
    static func wantsReconnect(_ reply: String) -> Bool {
        // The first letters decide for nearly all replies; only those of a script need a closer look.
        guard reply.hasPrefix("READONLY") || reply.hasPrefix("UNBLOCKED") || reply.hasPrefix("ERR Error running") else {
            return false
        }
        let code = code(of: reply)
        return code == "READONLY" || code == "UNBLOCKED"
    }

    /// What to do about an error, where there is more to say than the reply does.
    static func advice(for code: String, reply: String) -> String? {
        switch code {
        case "BUSY": "A script has been running for long: wait, or end it with SCRIPT KILL."
        case "LOADING": "Redis is reading its data set from disk: wait until it has."
        case "MASTERDOWN": "This replica has lost its master and serves no data: check the replication link."
        case "CLUSTERDOWN": "The Redis Cluster does not serve all its slots: check CLUSTER INFO."
        case "TRYAGAIN": "The slot is being moved between cluster nodes: try again when that is done."
        case "READONLY": "This server is a replica: connect to the master."
        case "MISCONF": "Redis cannot save its data and refuses writes: see its log and the disk it writes to."
        case "NOREPLICAS": "Too few replicas are connected for min-replicas-to-write: check the replicas."
        case "OOM": "Redis has reached maxmemory: raise it, or let the queues drain."
        case "NOAUTH": "Redis wants a password: put it in the URL, redis://:password@host."
        case "WRONGPASS": "Check the user and the password in the URL."
        case "NOPERM": "The Redis user lacks a permission: extend it with ACL SETUSER."
        case "EXECABORT": "A command inside the transaction was refused, so none was carried out."
        case "UNBLOCKED": "The server changed its role to replica. The client reconnects by itself."
        case "NOSCRIPT": "Redis does not have this script, probably since it was restarted: load it again."
        case "MOVED", "ASK":
            "This key lives on another cluster node: use a namespace with a hash tag and that node's URL."
        case "DENIED": "Redis runs in protected mode: give it a password or bind it to a private address."
        case "ERR" where reply.contains("max number of clients"):
            "Redis has reached maxclients: raise it, or close connections."
        default: nil
        }
    }
}
