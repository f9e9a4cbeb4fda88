import ArgumentParser
import BackgroundJobs
import Testing

@testable import BackgroundJobsCommands

@Suite struct RedisCommandOptionsTests {
    private func options(_ arguments: [String], _ environment: [String: String] = [:]) throws -> RedisOptions {
        try RedisCommandOptions.parse(arguments).redisOptions(environment: environment)
    }

    @Test func theCommandLineWinsOverTheEnvironment() throws {
        let environment = ["REDIS_URL": "redis://env:1", "BG_NAMESPACE": "env"]
        #expect(try options([]).url == "redis://127.0.0.1:6379/0")
        #expect(try options([]).namespace == "bg")
        #expect(try options([], environment).url == "redis://env:1")
        #expect(try options([], environment).namespace == "env")
        #expect(try options(["-r", "redis://arg:2", "-n", "arg"], environment).url == "redis://arg:2")
        #expect(try options(["--redis", "redis://arg:2", "--namespace", "arg"], environment).namespace == "arg")
        #expect(try options([], ["REDIS_URL": "", "BG_NAMESPACE": ""]).url == "redis://127.0.0.1:6379/0")
    }

    @Test func connectingMayTakeTime() throws {
        #expect(try options([]).connectTimeout == .seconds(5))
        #expect(try options(["--connect-timeout", "250ms"]).connectTimeout == .milliseconds(250))
        for text in ["0", "9ms", "2h", "soon"] {
            #expect(throws: (any Error).self) { try self.options(["--connect-timeout", text]) }
        }
    }

    @Test func takesTheFilesOfTLS() throws {
        let files = ["--tls-ca", "/dev/null", "--tls-cert", "/dev/./null", "--tls-key", "/dev/../dev/null"]
        let options = try options(["-r", "rediss://h"] + files)
        #expect(options.tlsCAFile == "/dev/null")
        #expect(options.tlsCertificateFile == "/dev/./null")
        #expect(options.tlsKeyFile == "/dev/../dev/null")
        #expect(throws: (any Error).self) { try self.options(["-r", "rediss://h", "--tls-cert", "/dev/null"]) }
        #expect(throws: (any Error).self) { try self.options(["-r", "rediss://h", "--tls-ca", "/nowhere/ca.pem"]) }
    }

    @Test func filesOfTLSDontGoWithAnUnencryptedConnection() throws {
        #expect(throws: (any Error).self) { try self.options(["-r", "redis://h", "--tls-ca", "/dev/null"]) }
        #expect(throws: (any Error).self) { try self.options(["-r", "unix:///s", "--tls-ca", "/dev/null"]) }
        #expect(try options(["-r", "REDISS://h", "--tls-ca", "/dev/null"]).tlsCAFile == "/dev/null")
    }
}

@Suite struct CommandFailureTests {
    @Test(arguments: [
        (BackgroundError.Code.invalidArgument, 64 as Int32), (.jobNotFound, 1), (.unavailable, 69), (.unknownFate, 69),
        (.notPermitted, 77), (.refused, 1), (.damaged, 1), (.unsuitable, 69), (.stalled, 75),
    ])
    func mapsCodes(code: BackgroundError.Code, exit: Int32) {
        #expect(CommandFailure(BackgroundError(code, "why")) == CommandFailure(code: exit, message: "why"))
    }

    @Test func mapsTheErrorsOfPrograms() {
        #expect(CommandFailure(ExitCode(75)) == CommandFailure(code: 75))
        #expect(CommandFailure(StandardStream.Closed()) == CommandFailure(code: 0))
        let isFull = CommandFailure(StandardStream.Closed(reason: 28))
        #expect(isFull.code == 1 && isFull.message?.hasPrefix("Standard output can't be written: ") == true)
        #expect(CommandFailure(CommandFailure(code: 3, message: "m")) == CommandFailure(code: 3, message: "m"))
    }

    @Test(arguments: [
        ("Unexpected argument 'redis://u:secret@h:1/0'", "Unexpected argument 'redis://***@h:1/0'"),
        ("a rediss://:p%40ss@h and unix://u:secret@/s", "a rediss://***@h and unix://***@/s"),
        ("redis://h:6379/0", "redis://h:6379/0"),
    ])
    func saysNoPassword(text: String, shown: String) {
        #expect(CommandFailure(code: 1, message: text).message == shown)
    }

    @Test func saysOneLine() {
        #expect(CommandFailure(code: 1, message: "a\nb\u{1B}[0m").message == "a\\nb\\u001b[0m")
    }
}
