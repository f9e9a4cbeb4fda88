import Foundation
import Testing

@testable import BackgroundJobsCommands

@Suite struct JSONScannerTests {
    private func fault(_ text: String, depth: Int = 64) -> JSONScanner.Fault? {
        do throws(JSONScanner.Fault) {
            try JSONScanner.check(Array(text.utf8), maximumDepth: depth)
            return nil
        } catch {
            return error
        }
    }

    @Test(arguments: [
        "{}", "[]", "null", "true", "false", "0", "-0", "-1.5e+10", "1E5", "\"\"",
        " {\"a\" : [1, 2 , {\"b\":null}] } \r\n",
        #""\u00e9\ud800 \" \\ \/ \b\f\n\r\t""#, "\"ü\u{1F600}\"",
    ])
    func accepts(text: String) {
        #expect(fault(text) == nil)
    }

    @Test(arguments: [
        ("", 1), ("   ", 4), ("{", 2), ("{a:1}", 2), ("{\"a\"}", 5), ("{\"a\":}", 6), ("{\"a\":1,}", 8), ("[1,]", 4),
        ("[1 2]", 4),
        ("01", 2), ("1.", 3), ("-", 2), ("1e", 3), ("+1", 1), (".5", 1), ("tru", 4), ("nul!", 4), ("\"abc", 1),
        ("\"\\x\"", 3), ("\"\\u12g4\"", 6), ("\"a\nb\"", 3), ("{} {}", 4), ("[1]]", 4), ("'a'", 1), ("NaN", 1),
        ("\u{FEFF}{}", 1),
    ])
    func refusesAndSaysWhere(text: String, position: Int) {
        #expect(fault(text)?.position == position)
    }

    @Test func limitsTheDepth() {
        let deep = String(repeating: "[", count: 64) + String(repeating: "]", count: 64)
        #expect(fault(deep) == nil)
        #expect(fault("[\(deep)]")?.position == 65)
        #expect(fault(String(repeating: "[", count: 1_000_000))?.position == 65)
    }

    @Test func refusesWhatIsNotUTF8() {
        #expect(throws: JSONScanner.Fault.self) {
            try JSONScanner.check([0x22, 0xFF, 0x22], maximumDepth: 64)
        }
    }

    @Test func agreesWithFoundation() {
        let pieces = ["{", "}", "[", "]", ",", ":", "\"a\"", "1", "-2.5", "true", "null", " ", "\"\\n\""]
        var generator = SystemRandomNumberGenerator()
        for _ in 0..<20_000 {
            let text = (0..<Int.random(in: 1...7)).compactMap { _ in pieces.randomElement(using: &generator) }.joined()
            let data = Data(text.utf8)
            let isJSON = (try? JSONSerialization.jsonObject(with: data, options: .fragmentsAllowed)) != nil
            // Foundation lets a comma before a closing bracket pass; RFC 8259 does not.
            let hasStrayComma = text.contains(/,\s*[\]}]/)
            #expect((fault(text) == nil) == (isJSON && !hasStrayComma), "\(text)")
        }
    }
}
