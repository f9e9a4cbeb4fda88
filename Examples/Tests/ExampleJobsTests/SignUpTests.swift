// The example of docs/testing.md, so that it goes on compiling; `ReadmeTests` compares the two.

// README begin
import BackgroundJobs
import BackgroundJobsTesting
import ExampleJobs
import Foundation
import Testing

@Suite struct SignUpTests {
    @Test func asksForTwoMails() async throws {
        let queue = TestQueue(exampleJobs())
        _ = try await signUp("ada@example.org", queue.manager)

        let mails = try queue.enqueued(Welcome.self)
        #expect(mails.map(\.job.to) == ["ada@example.org", "ada@example.org"])
        #expect(mails[0].queue == "mail" && mails[0].dueAt == nil)
        #expect(mails[1].dueAt == queue.now + 7 * 86_400 && mails[1].options.retries == 2)
    }

    @Test func aWrongAddressIsForgotten() async throws {
        let queue = TestQueue(exampleJobs())
        let mail = try await signUp("nobody", queue.manager)

        let runs = try await queue.drain()
        #expect(runs.map(\.ending) == [.discarded, .discarded])
        #expect(queue.state(of: mail.id) == .ended(how: "Discarded"))
    }

    @Test func theMailSaysWelcome() async throws {
        let queue = TestQueue(exampleJobs(), mode: .inline)
        let mail = try await signUp("ada@example.org", queue.manager)
        #expect(try await mail.value == "Welcome, ada@example.org!")
        #expect(queue.runs.count == 1)

        try await queue.advance(by: .seconds(7 * 86_400))
        #expect(queue.runs.count == 2)
    }
}
// README end
