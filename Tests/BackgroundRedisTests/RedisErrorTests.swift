import Testing

@testable import BackgroundRedis

@Suite struct RedisErrorTests {
    @Test(arguments: [
        ("BUSY Redis is busy running a script.", "BUSY", true), ("LOADING Redis is loading", "LOADING", true),
        ("MASTERDOWN Link with MASTER is down", "MASTERDOWN", true),
        ("CLUSTERDOWN The cluster is down", "CLUSTERDOWN", true),
        ("TRYAGAIN Multiple keys", "TRYAGAIN", true), ("READONLY You can't write", "READONLY", true),
        ("MISCONF Redis is configured", "MISCONF", true), ("NOREPLICAS Not enough", "NOREPLICAS", true),
        ("OOM command not allowed", "OOM", true), ("UNBLOCKED force unblock", "UNBLOCKED", true),
        ("NOAUTH Authentication required.", "NOAUTH", false), ("NOPERM this user has no permissions", "NOPERM", false),
        ("EXECABORT Transaction discarded", "EXECABORT", false), ("NOSCRIPT No matching script.", "NOSCRIPT", false),
        ("MOVED 3999 127.0.0.1:6381", "MOVED", false), ("WRONGTYPE Operation against", "WRONGTYPE", false),
        ("ERR max number of clients reached", "ERR", false), ("", "", false), ("ONE\r\nTWO", "ONE", false),
        (
            "ERR Error running script (call to f_1): @user_script:1: -READONLY You can't write against a read only replica.",
            "READONLY", true
        ),
    ])
    func codesOfReplies(_ reply: String, _ code: String, _ isTransient: Bool) {
        let error = RedisError.server(reply)
        #expect(error.code == .server)
        #expect(error.serverCode == code)
        #expect(error.isTransient == isTransient)
        #expect(error.fate == .answered)
        #expect(error.message.contains(reply))
        if isTransient || code == "NOPERM" || code == "ERR" { #expect(error.message.count > reply.count + 20) }
    }

    @Test func repliesThatEndTheConnection() {
        #expect(ServerErrorAdvice.wantsReconnect("READONLY You can't write"))
        #expect(ServerErrorAdvice.wantsReconnect("UNBLOCKED force unblock"))
        #expect(ServerErrorAdvice.wantsReconnect("ERR Error running script (x): -READONLY You can't"))
        #expect(!ServerErrorAdvice.wantsReconnect("ERR Error running script (x): -OOM"))
        #expect(!ServerErrorAdvice.wantsReconnect("LOADING"))
    }

    @Test func values() throws {
        #expect(RESPValue.string(Array("12".utf8)).int == 12)
        #expect(RESPValue.string(Array("1x".utf8)).int == nil)
        #expect(RESPValue.integer(3).int == 3)
        #expect(RESPValue.null.int == nil)
        #expect(RESPValue.integer(1 << 53).int == 1 << 53 && RESPValue.integer(-1 << 53).int == -1 << 53)
        for absurd in [Int64.max, .min, 1 << 53 + 1] {
            #expect(RESPValue.integer(absurd).int == nil)
            #expect(RESPValue.string(Array("\(absurd)".utf8)).int == nil)
        }
        #expect(RESPValue.string([0x61, 0xff]).text == "a\u{fffd}")
        #expect(RESPValue.integer(1).text == nil)
        #expect(RESPValue.array([.null]).array == [.null])
        #expect(try RESPValue.null.get() == .null)
        #expect(throws: RedisError.self) { try RESPValue.error("ERR x").get() }
    }
}
