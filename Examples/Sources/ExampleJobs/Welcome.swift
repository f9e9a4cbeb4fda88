public import BackgroundJobs

/// Says hello to somebody new.
public struct Welcome: Job {
    public static let queue = "mail"

    public var to: String

    public func perform(_ context: JobContext) async throws -> String {
        guard to.contains("@") else { throw JobOutcome.discard("\(to) is no address") }
        // Here a mail server would be asked; if it fails, the job is tried again.
        return "Welcome, \(to)!"
    }
}

/// What a web application does when somebody signs up.
public func signUp(_ address: String, _ manager: Manager) async throws -> JobHandle<String> {
    let hello = try await manager.enqueue(Welcome(to: address))
    try await manager.enqueue(Welcome(to: address), in: .seconds(7 * 86_400), options: JobOptions(retries: 2))
    return hello
}
