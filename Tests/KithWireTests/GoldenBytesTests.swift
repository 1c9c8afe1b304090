import KithBytes
import Testing

@testable import KithCore
@testable import KithWire

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
                "silentNodesMax \(WireLimits.silentNodesMax)",
                "silenceBytesMax \(WireLimits.silenceBytesMax)",
                "tokenGroupsMax \(WireLimits.tokenGroupsMax)",
                "noteTextsMax \(WireLimits.noteTextsMax)",
                "noteTextBytesMax \(WireLimits.noteTextBytesMax)",
            ])
    }

    @Test func `the document's limits between nodes are the code's`() throws {
        let rows = try WireDocument().table("peer limit", "value", "what")

        #expect(
            rows.map { "\($0[0]) \($0[1])" } == [
                "frameBytesMax \(PeerLimits.frameBytesMax)",
                "greetingBytesMax \(PeerLimits.greetingBytesMax)",
                "startsMax \(StartList.startsMax)",
                "wordsMax \(PeerLimits.wordsMax)",
                "endsMax \(PeerLimits.endsMax)",
                "operationBytesMax \(PeerLimits.operationBytesMax)",
                "operationsMax \(PeerLimits.operationsMax)",
                "findsMax \(PeerLimits.findsMax)",
                "waitsMax \(PeerLimits.waitsMax)",
                "namespacesMax \(PeerLimits.namespacesMax)",
                "payloadBytesMax \(PeerLimits.payloadBytesMax)",
                "countMax \(PeerLimits.countMax)",
                "forwardsMax \(PeerLimits.forwardsMax)",
                "profileBytesMax \(PeerLimits.profileBytesMax)",
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

    @Test func `the document's fields, problems and ignored identifiers are the code's`() throws {
        let fields = try WireDocument().table("field", "name")
        let problems = try WireDocument().table("problem", "what is there")
        let ignored = try WireDocument().table("ignored", "name")

        #expect(
            fields.map { "\($0[0]) \($0[1])" }
                == EventField.allCases.map { "\($0.rawValue) \($0.name)" })
        #expect(problems.map { $0[0] } == FieldProblem.allCases.map { "\($0.rawValue)" })
        #expect(
            ignored.map { "\($0[0]) \($0[1])" }
                == IgnoredIdentifier.allCases.map { "\($0.rawValue) \($0.name)" })
    }

    @Test func `the document's types are those of the samples`() throws {
        let rows = try WireDocument().table("type", "message", "from", "answered by")
        let documented = Set(rows.compactMap { UInt8($0[0].dropFirst(2), radix: 16) })

        #expect(documented.count == rows.count)
        #expect(documented == Set(Sample.all.map(\.type.rawValue)))
    }

    @Test func `the types that go from node to node are those for nodes only`() throws {
        let rows = try WireDocument().table("type", "message", "from", "answered by")

        for row in rows {
            let type = try #require(UInt8(row[0].dropFirst(2), radix: 16))
            #expect(FrameType(rawValue: type).isPeer == (row[2] == "node to node"), "\(row)")
        }
        #expect(rows.contains { $0[2] == "node to node" })
    }

    @Test func `the document's operations are the code's`() throws {
        let rows = try WireDocument().table("operation", "name", "from another node")

        #expect(
            rows.map { "\($0[0]) \($0[1]) \($0[2])" }
                == OperationType.allCases.map {
                    "\($0.rawValue) \($0) \($0.isForPeers ? "yes" : "no")"
                })
    }

    @Test func `the document's rules are the code's`() throws {
        let rows = try WireDocument().table("rule", "name")

        #expect(
            rows.map { "\($0[0]) \($0[1])" }
                == RefusalRule.allCases.map { "\($0.rawValue) \($0.text)" })
    }

    @Test func `the document's outcomes are the code's`() throws {
        let rows = try WireDocument().table("tag", "outcome", "followed by")
        var found: [String] = []
        for outcome in Sample.outcomes {
            let bytes = PeerMessageTests.bytes(of: outcome)
            let row = "\(bytes[0]) \(PeerMessageTests.name(of: outcome))"
            if found.last != row { found.append(row) }
            let documented = try #require(rows.first { $0[0] == "\(bytes[0])" })
            #expect(documented[2].isEmpty == (bytes.count == 1), "\(row)")
        }

        #expect(rows.map { "\($0[0]) \($0[1])" } == found)
    }

    @Test func `the document's flags of a finding are the code's`() throws {
        let rows = try WireDocument().table("flag", "name", "meaning")
        let flags: [(name: String, path: WritableKeyPath<Finding, Bool>)] = [
            ("holds", \.holds), ("holdsOther", \.holdsOther), ("isContested", \.isContested),
            ("isLive", \.isLive), ("isListed", \.isListed),
        ]
        var found: [String] = []
        for (name, path) in flags {
            var finding = Finding(root: Sample.account)
            finding[keyPath: path] = true
            found.append("\(PeerMessageTests.bytes(of: .found(finding))[17]) \(name)")
        }
        var finding = Finding(root: Sample.account)
        finding.rootText = Sample.finding.rootText
        found.append("\(PeerMessageTests.bytes(of: .found(finding))[17]) rootText")

        #expect(rows.map { "\($0[0]) \($0[1])" } == found)
    }
}
