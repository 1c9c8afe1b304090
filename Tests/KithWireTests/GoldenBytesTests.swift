import KithBytes
import KithWire
import Testing

/// docs/wire.md against the code, byte by byte and number by number.
@Suite struct GoldenBytesTests {
    @Test func `every sample has an example in the document and every example a sample`() throws {
        let document = try WireDocument()

        #expect(document.examples.map(\.name) == Sample.all.map(\.name))
    }

    @Test(arguments: Sample.all)
    func `the code encodes an example as the document says`(_ sample: Sample) throws {
        let example = try #require(
            try WireDocument().examples.first { $0.name == sample.name })

        #expect(sample.frame == example.bytes)
    }

    @Test(arguments: Sample.all)
    func `the code decodes an example of the document`(_ sample: Sample) throws {
        let example = try #require(
            try WireDocument().examples.first { $0.name == sample.name })
        var decoder = FrameDecoder()

        decoder.append(example.bytes)
        let frame = try #require(try decoder.next())

        #expect(frame.header == FrameHeader(type: sample.type, requestID: sample.requestID))
        #expect(try sample.recode(frame.payload.copied()) == frame.payload.copied())
    }

    @Test func `the document's limits are the code's`() throws {
        let rows = try WireDocument().table("limit", "default", "announced", "what")
        let limits = WireLimits()

        #expect(
            rows.map { "\($0[0]) \($0[1])" } == [
                "helloFrameBytesMax \(WireLimits.helloFrameBytesMax)",
                "frameBytesMax \(limits.frameBytesMax)",
                "batchEventsMax \(limits.batchEventsMax)",
                "eventBytesMax \(limits.eventBytesMax)",
                "nameBytesMax \(WireLimits.nameBytesMax)",
                "valueBytesMax \(WireLimits.valueBytesMax)",
                "errorTextBytesMax \(WireLimits.errorTextBytesMax)",
                "tokenGroupsMax \(WireLimits.tokenGroupsMax)",
            ])
    }

    @Test func `the document's error codes are the code's`() throws {
        let rows = try WireDocument().table("code", "name", "meaning")

        #expect(
            rows.map { "\($0[0]) \($0[1])" }
                == ErrorCode.names.map { "\($0.code.rawValue) \($0.name)" })
        #expect(rows.allSatisfy { !$0[2].isEmpty })
    }

    @Test func `the document's reasons are the code's`() throws {
        let rows = try WireDocument().table("reason", "name")

        #expect(
            rows.map { "\($0[0]) \($0[1])" }
                == RejectionReason.allCases.map { "\($0.rawValue) \($0.name)" })
        for reason in RejectionReason.allCases {
            #expect(RejectionReason(name: reason.name) == reason)
        }
    }

    @Test func `the document's types are those of the samples`() throws {
        let rows = try WireDocument().table("type", "message", "from", "answered by")
        let documented = Set(rows.compactMap { UInt8($0[0].dropFirst(2), radix: 16) })

        #expect(documented.count == rows.count)
        #expect(documented == Set(Sample.all.map(\.type.rawValue)))
        #expect(documented.allSatisfy { !FrameType(rawValue: $0).isPeer })
    }
}
