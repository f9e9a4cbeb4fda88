import Foundation

/// Command lines that are to be refused, with the exit code 64 and a sentence, and nothing written.
struct BadCommandLine: Sendable {
    let program: String
    let arguments: [String]
    var environment: [String: String] = [:]
    /// What the file holds whose path stands in the arguments as ``file``; nil: there is none.
    var settings: String?

    static let file = "<file>"

    static let all: [BadCommandLine] = [names, times, numbers, json, urls, options, files, variables].flatMap(\.self)

    /// One for each of the last words.
    private static func lines(_ words: [String], _ last: [String]) -> [BadCommandLine] {
        last.map { BadCommandLine(program: words[0], arguments: words.dropFirst() + [$0]) }
    }

    private static func enqueuing(_ words: [String], _ last: [String]) -> [BadCommandLine] {
        lines(["bg-cli", "enqueue", "Nap"] + words, last)
    }

    // MARK: Names (J7)

    private static let never = [
        "", " ", "a b", "a\nb", "a\tb", "a\rb", "é", "日本", "a/b", "../x", "<script>", "a\u{202E}b", "a\\b", "\"q\"",
        "'q'", "`x`",
        String(repeating: "a", count: 10_000), "a\u{7F}", "a\u{1B}[31m", "𝕏", "\u{FEFF}a", "a\u{300}", "\u{0085}",
    ]
    private static let neverQueues = [
        "a:b", "*", "{x}", "a;b", "a=b", "$(x)", "%s", "a|b", "?", "!", "[x]", "^", "~", "+", "a,b",
    ]
    private static let neverWeights = ["a,,b", ",", "a:0", "a:b", "a:-1", "a:1.5", "a:99999999999999999999"]
    private static let neverIDs = ["a.b", "a@b", "a:b", "*", "{x}", String(repeating: "a", count: 65)]

    private static let names: [BadCommandLine] = [
        lines(["bg-cli", "enqueue"], never + [".x", String(repeating: "a", count: 201)]),
        enqueuing(["-q"], never + neverQueues + [String(repeating: "a", count: 129)]),
        enqueuing(["--id"], never + neverIDs),
        enqueuing(["-n"], never + ["*", "a;b", "?"]), lines(["bg-cli", "job"], never),
        lines(["bg-cli", "status", "-q"], never),
        lines(["bg-worker", "--demo", "--queues"], never + neverWeights), lines(["bg-watcher", "--queues"], never),
    ].flatMap(\.self)

    // MARK: Times and numbers

    private static let neverTimes = [
        "", " ", "5x", "-5s", "1e3s", "nan", "inf", "5 s", "s", "ms", "0x5s", "5ss", "5d5h", "1,5s", "٥s", "5H",
        "99999999999d", "1e400",
        "..5s", ".5s", "5.s", "+5s", "\n5s", "5µs", "5w", "five",
    ]
    private static let neverMoments = [
        "", "2026-13-01T00:00:00Z", "2026-02-30T00:00:00Z", "2026-02-29T00:00:00Z", "2026-01-01", "yesterday",
        "2026-01-01T24:00:00Z",
        "2026-01-01T00:60:00Z", "2026-01-01T00:00:61Z", "99999-01-01T00:00:00Z", "2026-01-01 00:00:00Z",
        "2026-00-10T00:00:00Z",
        "2026-01-00T00:00:00Z", "2026-12-01T08:00:00Zulu", "2026-12-01T08:00:00+01:00:99", "2026-12-01T08:00:00+25:00",
        "2026-12-01T08:00:00Z ", "1795000000", "2026-1-1T0:0:0Z", "２026-01-01T00:00:00Z", "-2026-01-01T00:00:00Z",
    ]
    private static let neverKept = [
        "", "24h", "1,2,3", "x,1", "1h,x", "1h,-1", "1h,1.5", "1h,99999999999999999999", "all,", ",all",
    ]
    private static let times: [BadCommandLine] = [
        enqueuing(["--in"], neverTimes), enqueuing(["--timeout"], neverTimes), enqueuing(["--at"], neverMoments),
        lines(["bg-watcher", "--interval"], neverTimes + ["0"]),
        lines(["bg-watcher", "--heartbeat"], ["", "0", "soon"]),
        lines(["bg-watcher", "--keep-failed"], neverKept),
    ].flatMap(\.self)

    private static let neverCounts = ["", "-1", "1.5", "abc", "99999999999999999999", "0x10", "1e3", "١", " 1", "+"]
    private static let neverBackoffs = [
        "", "x", "fixed", "fixed:", "fixed:x", "list:", "list:1s,", "linear:-1s", "fixed:999d", "exponential:1s",
    ]
    private static let numbers: [BadCommandLine] = [
        enqueuing(["--retries"], neverCounts + ["1000001"]), enqueuing(["--count"], neverCounts + ["0"]),
        enqueuing(["--crash-retries"], neverCounts + ["some", "1000001"]), enqueuing(["--backoff"], neverBackoffs),
        lines(["bg-worker", "--demo", "--fibers"], neverCounts + ["0", "100001"]),
        lines(["bg-worker", "--demo", "--threads"], neverCounts + ["0", "1001"]),
    ].flatMap(\.self)

    // MARK: JSON (J2, J3)

    private static let neverJSON = [
        "", " ", "{", "}", "[", #"{"a":}"#, "{'a':1}", "{a:1}", "[1,]", #"{"a":1,}"#, "nul", "True", "NaN", "Infinity",
        "-Infinity", "1 2",
        "01", "+1", "1.", ".5", "1e", "1e+", "\"", #""\x""#, #""\u12""#, "\"\n\"", "[1 2]", #"{"a" 1}"#, "{1:2}", "//",
        "/**/1",
        "\u{FEFF}{}", "0x1", "1_000", "{}{}", "[[]", "undefined", "\"\t\"", #"{"a":1 "b":2}"#, "'a'",
        String(repeating: "[", count: 65) + String(repeating: "]", count: 65), String(repeating: "[", count: 100_000),
    ]
    private static let json = enqueuing([], neverJSON)

    // MARK: URLs

    private static let neverURLs = [
        "", "redis", "http://127.0.0.1", "ftp://h", "redis://h:99999", "redis://h:-1", "redis://h:abc", "redis://h:1:2",
        "redis://h/abc",
        "redis://h/-1", "redis://[::1", "redis://h/1/2", "unix://", "unix:", "redis:/h", "redis://a b", "redis://h\n",
        "://", "//h",
        "redis//h:1", "redis://h/99999999999999999999", "unix:///tmp/x?db=a", "redis://h?nonsense=1", "redis://%zz@h",
        "redis://h#x",
    ]
    private static let urls: [BadCommandLine] = [
        lines(["bg-cli", "status", "--redis"], neverURLs), lines(["bg-worker", "--demo", "--redis"], neverURLs),
        lines(["bg-watcher", "--redis"], neverURLs),
    ].flatMap(\.self)

    // MARK: Options

    private static let options: [BadCommandLine] =
        ofCLI.map { BadCommandLine(program: "bg-cli", arguments: $0) }
        + ofWorkers.map { BadCommandLine(program: "bg-worker", arguments: ["--demo"] + $0) }
        + ofWatchers.map { BadCommandLine(program: "bg-watcher", arguments: $0) }
        + [BadCommandLine(program: "bg-worker", arguments: [])]

    private static let ofCLI: [[String]] = [
        ["--nonsense"], ["-x"], ["nonsense"], ["enqueue"], ["enqueue", "A", "{}", "more"],
        ["enqueue", "A", "--in", "1s", "--at"],
        ["enqueue", "A", "--in", "1s", "--at", "2026-12-01T08:00:00Z"],
        ["enqueue", "A", "--file", "x", "--count", "2"],
        ["enqueue", "A", "--id", "x", "--count", "2"], ["enqueue", "A", "--wait", "--count", "2"],
        ["enqueue", "A", "--within", "1s"],
        ["enqueue", "A", "--unique-until", "started"],
        ["enqueue", "A", "--unique", "1s", "--unique-until", "never"],
        ["enqueue", "A", "--unique", "0"], ["enqueue", "A", "--delivery", "twice"],
        ["enqueue", "A", "--on", "a b"],
        ["enqueue", "A", "--on", "a", "--avoiding", "b"], ["enqueue", "A", "--unique-key", "k"],
        ["enqueue", "A", "--on-duplicate", "skip"],
        ["enqueue", "A", "--fallback", "x"], ["enqueue", "A", "--fallback", "5s"],
        ["enqueue", "A", "--retry-queue", "a b"],
        ["enqueue", "A", "--expires", "0"], ["enqueue", "A", "--crash-window", "x"], ["job"], ["jobs", "nonsense"],
        ["cron", "add", "x", "* * *", "A"], ["cron", "add", "x", "60 * * * *", "A"],
        ["cron", "add", "x", "0 0 30 2 *", "A"],
        ["cron", "add", "x", "@reboot", "A"], ["cron", "add", "a b", "@daily", "A"],
        ["cron", "add", "x", "every 0s", "A"],
        ["cron", "add", "x", "@daily", "A", "--tz", "Mars/Olympus"], ["cron", "next", "* * * * * * *"],
        ["cron", "next", ""],
        ["retry"], ["status", "--log-format", "xml"], ["status", "--config", "/nonexistent"],
        ["status", "--connect-timeout", "-1"],
    ]
    private static let ofWorkers: [[String]] = [
        ["--nonsense"], ["more"], ["--order", "x"], ["--order", "strict", "--queues", "a:1"], ["--reserve", "x"],
        ["--reserve", "b=1"],
        ["--reserve", "default=-1"], ["--reserve", "default=999"], ["--reserve", "default=1,default=2"],
        ["--heartbeat", "0"],
        ["--heartbeat", "10s", "--dead-after", "20s"], ["--mode", "twice"], ["--handlers", "/nonexistent"],
        ["--handlers", ""],
        ["--log-level", "loud"], ["--log-format", "xml"], ["--config", "/nonexistent"], ["--timeout", "x"],
        ["--kill-after", "-1"],
        ["--drain", "yes"],
    ]
    private static let ofWatchers: [[String]] = [
        ["--nonsense"], ["more"], ["--grace", "x"], ["--second-look", "-1"], ["--dead-after", "1s"],
        ["--log-level", "loud"],
        ["--config", "/nonexistent"],
    ]

    // MARK: Files and variables

    private static let files = [
        "fibers", "- a", "fibers: x", "fibers: 0x", "nonsense: 1", "worker: 1", "worker: {nonsense: 1}",
        "worker: {interval: 1s}",
        "heartbeat: {a: 1}", "heartbeat: ", "a: [", "\t", "worker: {queues: {a: {b: 1}}}", "{}}", "log-level: loud",
        "redis: [a]",
        "worker: {drain: maybe}", "'", "a: b: c", "%",
    ].map {
        BadCommandLine(program: "bg-worker", arguments: ["--demo", "--print-config", "--config", file], settings: $0)
    }

    private static let variables = [
        ("BG_FIBERS", "x"), ("BG_HEARTBEAT", "soon"), ("BG_LOG_LEVEL", "loud"), ("BG_DRAIN", "maybe"),
        ("BG_CONFIG", "/nonexistent"),
        ("BG_LOG_FORMAT", "xml"), ("BG_CONNECT_TIMEOUT", "x"), ("BG_REDIS", "nonsense"),
    ].map { BadCommandLine(program: "bg-worker", arguments: ["--demo"], environment: [$0: $1]) }
}

/// Arguments as somebody may write them to Redis, for a job of which `ms` is a number (J2, J3).
enum RawArguments {
    static let good = [
        #"{"ms":1}"#, #"{"ms":0}"#, #"{"ms":-0}"#, #"{"ms":1.5}"#, #"{"ms":1e0}"#, #"{ "ms" : 1 }"#, "{\"ms\":1}\n",
        #"{"ms":1,"more":[null]}"#,
        #"{"ms":1,"😀":"\ud83d\ude00"}"#, #"{"\u006ds":1}"#,
    ]

    /// Whatever comes of these: one decoder takes them, another does not.
    static let either = [
        #"{"ms":1,}"#,
        #"{"ms":1,"ms":2}"#, "\u{FEFF}{\"ms\":1}", #"{"ms":1}\#u{0}"#, #"{"ms":-1}"#, #"{"ms":1e-400}"#,
    ]

    static let bad: [String] = [shapes, values.map { #"{"ms":\#($0)}"# }, keys.map { "{\($0)}" }, cut, nested].flatMap(
        \.self
    )

    private static let nested: [String] = [
        [16, 63, 64, 65, 66, 512].map { String(repeating: "[", count: $0) + String(repeating: "]", count: $0) },
        [512, 100_000].map { String(repeating: "[", count: $0) },
        [512, 100_000].map { String(repeating: #"{"ms":"#, count: $0) },
    ].flatMap(\.self)

    private static let shapes = [
        "{}", "[]", "null", "true", "1", "\"ms\"", "{", "}", "[", "]", ",", ":", "\"", "x", "\0", "\u{1}", "{}{}",
        "{{}}", "[[", "ms", "tru", "-1e", #"{"ms"}"#, #"{"ms":}"#, #"{"ms":1}}"#, #"{"":{}}"#,
        "[{}]", "[1]", "nul", "NaN",
        "{'ms':1}", "{ms:1}", #"{"ms" 1}"#, #"{,"ms":1}"#, #"{"ms":1"#, #""ms":1}"#, #"{"ms":1}}"#,
        #"{"ms":1}x"#, #"{"ms":1} {}"#,
        "//\n{}", "/* */{}", "---\nms: 1", "ms=1", "<ms>1</ms>", "\u{202E}{}", "0x1", "-", "+1", "01", "1.", "1e", "\\",
        "\r\n", " ", "\t",
    ]
    private static let values = [
        "null", "true", "false", "\"1\"", "\"\"", "[]", "[1]", "{}", "NaN", "nan", "Infinity", "-Infinity", "inf",
        "1e999", "-1e999", "1e", "1e+",
        "1.", ".5", "01", "-", "+1", "--1", "0x10", "1_0", "1,5", "1 2", "١", "∞", "'1'", "\"\\u12\"", "\"\\ud800\"",
        "\"\\x\"", "\"\n\"", "\"",
        "tru", "True", "None", "undefined", "[", "{", "\\", "", " ", "\u{0}", "1\u{0}", "1;", "$1", "{\"ms\":1}",
        "[[[[1]]]]",
    ]
    private static let keys = [
        #""MS":1"#, #""ms ":1"#, #"" ms":1"#, #""":1"#, "1:1", #"null:1"#, #""m\u0000s":1"#, #""ms\n":1"#,
        #""m":1,"s":1"#, #""ｍｓ":1"#,
    ]
    /// A right one, cut off everywhere.
    private static let cut = (1..<16).map { String(#"{"more":"a","ms":1}"#.prefix($0)) }
}
