import Testing

@testable import BackgroundRedis

@Suite struct RedisURLTests {
    struct Valid: Sendable {
        let url: String
        let address: RedisURL.Address
        var user: String?
        var password: String?
        var database = 0
        var isTLS = false
        let shown: String
    }

    @Test(arguments: [
        Valid(url: "redis://localhost", address: .host("localhost", port: 6379), shown: "redis://localhost:6379/0"),
        Valid(url: "redis://localhost/", address: .host("localhost", port: 6379), shown: "redis://localhost:6379/0"),
        Valid(url: "REDIS://h:1", address: .host("h", port: 1), shown: "redis://h:1/0"),
        Valid(url: "redis://h:65535/15", address: .host("h", port: 65535), database: 15, shown: "redis://h:65535/15"),
        Valid(
            url: "rediss://a-b_c.example.org:6380/3",
            address: .host("a-b_c.example.org", port: 6380),
            database: 3,
            isTLS: true,
            shown: "rediss://a-b_c.example.org:6380/3"
        ),
        Valid(
            url: "redis://:sesame@h",
            address: .host("h", port: 6379),
            password: "sesame",
            shown: "redis://:***@h:6379/0"
        ),
        Valid(
            url: "redis://ali:sesame@h:7/2",
            address: .host("h", port: 7),
            user: "ali",
            password: "sesame",
            database: 2,
            shown: "redis://ali:***@h:7/2"
        ),
        Valid(
            url: "redis://a%3Ab:%40%2f%3A%25%C3%A9%20@h",
            address: .host("h", port: 6379),
            user: "a:b",
            password: "@/:%é ",
            shown: "redis://a:b:***@h:6379/0"
        ),
        Valid(
            url: "redis://nopass:@h",
            address: .host("h", port: 6379),
            user: "nopass",
            password: "",
            shown: "redis://nopass:***@h:6379/0"
        ),
        Valid(
            url: "redis://127.0.0.1:6379",
            address: .host("127.0.0.1", port: 6379),
            shown: "redis://127.0.0.1:6379/0"
        ),
        Valid(url: "redis://[::1]", address: .host("::1", port: 6379), shown: "redis://[::1]:6379/0"),
        Valid(
            url: "rediss://u:sesame@[2001:db8::7]:6380/1",
            address: .host("2001:db8::7", port: 6380),
            user: "u",
            password: "sesame",
            database: 1,
            isTLS: true,
            shown: "rediss://u:***@[2001:db8::7]:6380/1"
        ),
        Valid(url: "unix:///run/redis.sock", address: .unix(path: "/run/redis.sock"), shown: "unix:///run/redis.sock"),
        Valid(
            url: "unix:///run/a%20b.sock?db=4",
            address: .unix(path: "/run/a b.sock"),
            database: 4,
            shown: "unix:///run/a b.sock?db=4"
        ),
        Valid(
            url: "unix://u:sesame@/run/r.sock",
            address: .unix(path: "/run/r.sock"),
            user: "u",
            password: "sesame",
            shown: "unix://u:***@/run/r.sock"
        ),
    ])
    func valid(_ expected: Valid) throws {
        let url = try RedisURL(expected.url)
        #expect(url.address == expected.address)
        #expect(url.user == expected.user)
        #expect(url.password == expected.password)
        #expect(url.database == expected.database)
        #expect(url.isTLS == expected.isTLS)
        #expect(url.description == expected.shown)
    }

    /// Each with a word of the advice that it must get.
    @Test(arguments: [
        ("", "empty"), (" ", "space"), ("redis://a b", "space"), ("redis://h\n", "control"),
        ("redis://h\u{0}", "control"),
        ("redis", "scheme"), ("localhost:6379", "scheme"), ("redis:h", "scheme"), ("redis:/h", "scheme"),
        ("://h", "scheme"), ("http://h", "scheme"), ("redis+tls://h", "scheme"), ("valkey://h", "scheme"),
        ("redis://", "host"), ("redis:///0", "host"), ("redis://:6379", "host"), ("redis://:sesame@", "host"),
        ("redis://:sesame@:6379", "host"), ("redis://.h", "host"), ("redis://-h", "host"), ("redis://a..b", "host"),
        ("redis://h!", "host"), ("redis://bücher.example", "xn--"), ("redis://a%20b", "host"),
        ("redis://\(String(repeating: "a", count: 254))", "host"),
        ("redis://h:", "port"), ("redis://h:0", "port"), ("redis://h:65536", "port"), ("redis://h:-1", "port"),
        ("redis://h:+1", "port"), ("redis://h:6379x", "port"), ("redis://h:99999999999999999999", "port"),
        ("redis://h:٣", "port"), ("redis://::1:6379", "brackets"), ("redis://[::1", "]"), ("redis://[]", "IPv6"),
        ("redis://[h]", "IPv6"), ("redis://[::1]x", "]"), ("redis://[::1]:", "port"), ("redis://[1.2.3.4]", "IPv6"),
        ("redis://h/a", "database"), ("redis://h/-1", "database"), ("redis://h/1/2", "database"),
        ("redis://h/99999999999", "database"), ("redis://h?db=1", "query"), ("redis://h/0#x", "#"),
        ("redis://sesame@h", "“:”"), ("redis://:@h", "empty"), ("redis://:ses@ame@h", "%40"),
        ("redis://a:ses:ame@h", "%3A"), ("redis://:ses/ame@h", "%2F"), ("redis://:ses%zzame@h", "%25"),
        ("redis://:sesame%2@h", "%25"), ("redis://:sesame%@h", "%25"), ("redis://:sesame%ff@h", "UTF-8"),
        ("redis://:sesame%00@h", "NUL"), ("redis://:ses#ame@h", "%23"), ("redis://:ses?ame@h", "%3F"),
        ("unix://", "path"), ("unix:///", "path"), ("unix://run/redis.sock", "host"), ("unix://h:1/redis.sock", "host"),
        ("unix:///r.sock?", "db="), ("unix:///r.sock?db", "db="), ("unix:///r.sock?db=", "database"),
        ("unix:///r.sock?db=x", "database"), ("unix:///r.sock?x=1", "db="), ("unix:///a%00", "NUL"),
        ("unix:///\(String(repeating: "a", count: 103))", "103"), ("unix://:ses/ame@/r.sock", "%2F"),
    ])
    func invalid(_ string: String, _ advice: String) {
        let error = #expect(throws: RedisError.self) { try RedisURL(string) }
        #expect(error?.code == .invalidURL)
        #expect(error?.message.contains(advice) == true, "\(error?.message ?? "")")
        for part in ["sesame", "ses@", "ame@"] { #expect(!"\(error as Any)".contains(part)) }
    }

    @Test func thePasswordIsInNoDescription() throws {
        let url = try RedisURL("redis://ali:sesame@h")
        let configuration = RedisConfiguration(url: url)
        var dumped = ""
        dump(configuration, to: &dumped)
        for text in [
            "\(url)", String(reflecting: url), "\(configuration)", String(reflecting: configuration), dumped,
            "\(Optional(url) as Any)", "\([url])", "\(Mirror(reflecting: url).children.map { "\($0)" })",
        ] {
            #expect(!text.contains("sesame"))
            #expect(text.contains("***"))
        }
    }
}
