import BackgroundJobs
import BackgroundRedis
import Logging
import NIOPosix
import Synchronization
import TestSupport
import Testing

/// What a producer does after a connection that broke behind its EXEC, said by a server that does what the test wants.
@Suite("A transaction without a reply", .timeLimit(.minutes(20)))
struct UnknownFateTests {
    private static let job = NewJob(id: "j", queue: "q", className: "C", arguments: [])

    /// The commands that the server received, by their first word.
    private final class Conversation: Sendable {
        private let received = Mutex<[String]>([])
        var words: [String] { received.withLock { $0 } }
        func count(_ word: String) -> Int { words.count { $0 == word } }
        func note(_ word: String) { received.withLock { $0.append(word) } }
    }

    /// Enqueues one job at a server that answers `exec` to the nth EXEC and `others` to what is asked afterwards.
    private func enqueue(
        patience: Duration = .seconds(60),
        exec: @escaping @Sendable (Int) -> FakeServer.Answer,
        others: @escaping @Sendable (_ word: String, _ count: Int) -> FakeServer.Answer
    ) async throws -> (conversation: [String], error: BackgroundError?) {
        let conversation = Conversation()
        let server = try await FakeServer.start { _, command in
            if let answer = FakeServer.handshake(command) { return answer }
            let word = command[0].uppercased()
            conversation.note(word)
            return switch word {
            case "TIME": .text("*2\r\n$10\r\n1700000000\r\n$1\r\n0\r\n")
            case "MULTI": .text("+OK\r\n")
            case "HSET", "RPUSH", "SADD": .text("+QUEUED\r\n")
            case "EXEC": exec(conversation.count("EXEC"))
            default: others(word, conversation.count(word))
            }
        }
        let client = RedisClient(
            RedisConfiguration(
                url: try RedisURL(server.url),
                commandTimeout: .seconds(60),
                maximumBackoff: .milliseconds(20)
            ),
            eventLoop: MultiThreadedEventLoopGroup.singleton.next(),
            logger: Logger(label: "test", factory: { _ in SwiftLogNoOpLogHandler() })
        )
        var thrown: BackgroundError?
        do {
            try await RedisStore(client: client, namespace: "bg", patience: patience).enqueue([Self.job])
        } catch {
            thrown = error
        }
        await client.close()
        await server.stop()
        return (conversation.words.filter { !["MULTI", "HSET", "RPUSH", "SADD", "PING"].contains($0) }, thrown)
    }

    private static let queued = FakeServer.Answer.text("*3\r\n:4\r\n:1\r\n:1\r\n")
    private static let wrongType = FakeServer.Answer.text("*3\r\n:4\r\n-WRONGTYPE not a list\r\n:1\r\n")

    @Test("the hash is there: it was done, and is not sent again")
    func done() async throws {
        let (words, error) = try await enqueue(exec: { _ in .close }, others: { _, _ in .text(":1\r\n") })
        #expect(words == ["TIME", "EXEC", "EXISTS"])
        #expect(error == nil)
    }

    @Test("the hash is not there: it is sent again")
    func notDone() async throws {
        let (words, error) = try await enqueue(
            exec: { $0 == 1 ? .close : Self.queued },
            others: { _, _ in .text(":0\r\n") }
        )
        #expect(words == ["TIME", "EXEC", "EXISTS", "EXEC"])
        #expect(error == nil)
    }

    @Test("a question that finds no answer at first is asked again")
    func askedAgain() async throws {
        let (words, error) = try await enqueue(
            exec: { _ in .close },
            others: { _, count in
                switch count {
                case 1: .close
                case 2: .text("-LOADING Redis is loading the dataset in memory\r\n")
                default: .text(":1\r\n")
                }
            }
        )
        #expect(words == ["TIME", "EXEC", "EXISTS", "EXISTS", "EXISTS"])
        #expect(error == nil)
    }

    @Test("nobody can be asked: the error says that the fate is unknown")
    func unknown() async throws {
        let (words, error) = try await enqueue(patience: .seconds(5), exec: { _ in .close }, others: { _, _ in .close })
        #expect(words.count { $0 == "EXEC" } == 1)
        #expect(error?.code == .unknownFate)
        #expect(error?.message.contains("same ID") == true)
    }

    @Test("a push that failed is never taken for one that was lost, though the clean-up's connection breaks")
    func cleanUpBroken() async throws {
        let (words, error) = try await enqueue(
            exec: { _ in Self.wrongType },
            others: { word, count in word == "DEL" && count == 1 ? .close : .text(":1\r\n") }
        )
        #expect(words == ["TIME", "EXEC", "DEL", "DEL"])
        #expect(error?.code == .refused)
    }

    @Test("hashes that can't be deleted again are told of")
    func cleanUpImpossible() async throws {
        let (words, error) = try await enqueue(
            patience: .seconds(5),
            exec: { _ in Self.wrongType },
            others: { _, _ in .close }
        )
        #expect(words.contains("DEL") && !words.contains("EXISTS"))
        #expect(error?.code == .damaged)
    }
}
