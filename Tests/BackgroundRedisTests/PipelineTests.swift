import Testing

@testable import BackgroundRedis

@Suite struct PipelineTests {
    private func text(_ pipeline: Pipeline) -> String { String(decoding: pipeline.bytes, as: UTF8.self) }

    @Test func wholeCommands() {
        var pipeline = Pipeline()
        pipeline.command("SET", "é", "")
        pipeline.command(["PING"])
        #expect(text(pipeline) == "*3\r\n$3\r\nSET\r\n$2\r\né\r\n$0\r\n\r\n*1\r\n$4\r\nPING\r\n")
        #expect(pipeline.commandCount == 2)
        #expect(pipeline.byteCount == pipeline.bytes.count)
        #expect(pipeline.isComplete)
    }

    @Test func argumentByArgument() {
        var pipeline = Pipeline()
        pipeline.begin(argumentCount: 12)
        pipeline.append("X")
        pipeline.append("abc".dropFirst())
        pipeline.append([0, 255, 13, 10])
        for number in [0, 9, 10, 99, 100, -1, Int.max, Int.min] { pipeline.append(number) }
        #expect(!pipeline.isComplete)
        pipeline.append(Int64(-1000))
        #expect(pipeline.isComplete)
        let expected =
            Array("*12\r\n$1\r\nX\r\n$2\r\nbc\r\n$4\r\n".utf8) + [0, 255, 13, 10]
            + Array("\r\n$1\r\n0\r\n$1\r\n9\r\n$2\r\n10\r\n$2\r\n99\r\n$3\r\n100\r\n$2\r\n-1\r\n".utf8)
            + Array("$19\r\n9223372036854775807\r\n$20\r\n-9223372036854775808\r\n$5\r\n-1000\r\n".utf8)
        #expect(pipeline.bytes == expected)
    }

    @Test func numbersOfEveryLength() {
        var number: Int64 = 1
        while number < .max / 10 {
            for value in [number - 1, number, -number, number * 9] {
                var pipeline = Pipeline()
                pipeline.begin(argumentCount: 1)
                pipeline.append(value)
                #expect(text(pipeline) == "*1\r\n$\("\(value)".count)\r\n\(value)\r\n")
            }
            number *= 10
        }
    }
}
