import KithBytes
import KithCore
import Testing
import kith

@Suite struct ClusterFileTests {
    private static func parse(_ text: String) throws(ClusterFileError) -> String {
        ClusterFile.json(try ClusterFile.parse(Array(text.utf8)))
    }

    /// The settings that `text` gives, as the tree of what is printed.
    private static func tree(_ text: String) throws -> CBORValue {
        try JSONTranscoder.tree(Array(try parse(text).utf8))
    }

    private static let standard: CBORValue = [
        "user_id": ["class": 0, "limit": 1, "normalise": "none", "from": ["userId"]],
        "email": [
            "class": 1, "limit": 5, "normalise": "email",
            "from": ["traits.email", "context.traits.email"],
        ],
        "phone": [
            "class": 1, "limit": 5, "normalise": "phone",
            "from": ["traits.phone", "context.traits.phone"],
        ],
        "anonymous_id": ["class": 3, "limit": 100, "normalise": "none", "from": ["anonymousId"]],
        "device_id": [
            "class": 3, "limit": 100, "normalise": "none", "from": ["context.device.id"],
        ],
    ]

    @Test func `an empty object is a cluster of one node with every default`() throws {
        let cluster = try Self.tree("{}")

        #expect(cluster["name"] == "kith")
        #expect(cluster["groups"] == 4)
        #expect(cluster["replicas"] == 1)
        #expect(cluster["nodes"] == [["id": 1, "host": "127.0.0.1", "port": 7101]])
        #expect(cluster["retention"] == ["anonymousDays": 90, "clock": "wall"])
        #expect(cluster["identity"]?["sharedDevice"] == "quarantine")
        #expect(cluster["identity"]?["alias"] == "merge")
        #expect(cluster["identity"]?["namespaces"] == Self.standard)
    }

    @Test func `all keys are read, and comments are not`() throws {
        let cluster = try Self.tree(
            """
            \u{feff}// The first line.
            {
              "name": "shop",
                // "name": "other",
              "groups": 7, "replicas": 1,
              "hashKey": "000102030405060708090A0B0C0D0E0F",
              "nodes": [{"id": 9}, {"id": 2, "host": "db // two", "port": 80}],
              "retention": {"anonymousDays": 30, "clock": "event"},
              "identity": {"sharedDevice": "first", "alias": "refuse", "blockedValues": ["x"]}
            }
            """)

        #expect(cluster["name"] == "shop")
        #expect(cluster["groups"] == 7)
        #expect(cluster["hashKey"] == "000102030405060708090a0b0c0d0e0f")
        #expect(
            cluster["nodes"] == [
                ["id": 2, "host": "db // two", "port": 80],
                ["id": 9, "host": "127.0.0.1", "port": 7109],
            ])
        #expect(cluster["retention"] == ["anonymousDays": 30, "clock": "event"])
        #expect(cluster["identity"]?["sharedDevice"] == "first")
        #expect(cluster["identity"]?["alias"] == "refuse")
        #expect(cluster["identity"]?["blockedValues"] == ["x"])
        #expect(cluster["identity"]?["namespaces"] == Self.standard)
    }

    @Test func `more blocked values are added to the list that holds`() throws {
        func values(_ text: String) throws -> [CBORValue] {
            let identity = try Self.tree("{\"identity\": {\(text)}}")["identity"]
            guard case .array(let values)? = identity?["blockedValues"] else { return [] }
            return values
        }
        let standard = IdentityRules.standardBlockedValues.map { CBORValue.text($0) }

        #expect(try values(#""moreBlockedValues": ["x"]"#) == standard + ["x"])
        #expect(
            try values(#""moreBlockedValues": ["x"], "blockedValues": ["y"]"#) == ["y", "x"])
    }

    @Test func `namespaces are laid over the standard ones by name`() throws {
        let cluster = try Self.tree(
            """
            {"identity": {"namespaces": {
              "email": {"limit": 2}, "phone": null,
              "card": {"class": 2, "limit": 9, "normalise": "none", "from": ["traits.card"]},
              "till": {}
            }}}
            """)

        guard case .map(let namespaces)? = cluster["identity"]?["namespaces"] else {
            Issue.record("no namespaces")
            return
        }
        #expect(
            namespaces.map(\.key) == [
                "user_id", "email", "anonymous_id", "device_id", "card", "till", "phone",
            ])
        #expect(namespaces[1].value["limit"] == 2)
        #expect(namespaces[1].value["normalise"] == "email")
        #expect(
            namespaces[4].value
                == ["class": 2, "limit": 9, "normalise": "none", "from": ["traits.card"]])
        #expect(namespaces[5].value["class"] == 2)
        #expect(namespaces[6].value == nil as CBORValue)
    }

    @Test(arguments: [
        "{}",
        #"{"identity": {"namespaces": {"phone": null, "zz": {}, "aa": {"class": 0}}}}"#,
        #"{"nodes": [{"id": 4, "host": "::1", "port": 1}], "retention": {"clock": "event"}}"#,
    ])
    func `the settings printed are a file that gives the same settings`(_ text: String) throws {
        let printed = try Self.parse(text)

        #expect(try Self.parse(printed) == printed)
    }

    static let wrong: [(String, String)] = [
        ("[]", "the file must be an object, { … }"),
        ("{\"name\": \"a\"\n  \"groups\": 4}", "line 2, column 3: \",\" or \"}\" must stand here"),
        (
            #"{"nmae": 1}"#,
            "nmae is no key of a cluster file; here are: name, groups, replicas, "
                + "hashKey, nodes, retention, memory, identity"
        ),
        (#"{"name": 1}"#, "name must be a text, not 1"),
        (#"{"name": "Big"}"#, "name must be 1 to 64 of a-z 0-9 _ -"),
        (#"{"groups": 0}"#, "groups must be 1 to 256, not 0"),
        (#"{"groups": "4"}"#, "groups must be a whole number, not \"4\""),
        (#"{"groups": 4.5}"#, "groups must be a whole number, not 4.5"),
        (#"{"replicas": 2}"#, "replicas must be 1 to the number of nodes, 1, not 2"),
        (
            #"{"replicas": 3, "nodes": [{"id": 1}, {"id": 2}, {"id": 3}]}"#,
            "replicas must be 1: this version keeps one copy of each group and cannot keep 3"
        ),
        (#"{"hashKey": "12"}"#, "hashKey must be 32 hex digits"),
        (#"{"nodes": {}}"#, "nodes must be an array of {id, host, port}"),
        (#"{"nodes": []}"#, "nodes must be 1 to 64 nodes, not 0"),
        (#"{"nodes": [{"host": "a"}]}"#, "nodes[0].id must be given"),
        (
            #"{"nodes": [{"id": 1, "port": 65536}]}"#,
            "nodes[0].port must be a whole number from 1 to 65535, not 65536"
        ),
        (
            #"{"nodes": [{"id": 1, "address": "a"}]}"#,
            "nodes[0].address is no key of a cluster file; here are: id, host, port"
        ),
        (
            #"{"nodes": [{"id": 1}, {"id": 1, "port": 9}]}"#,
            "nodes[1].id must differ: two nodes have 1"
        ),
        (
            #"{"nodes": [{"id": 1, "port": 9}, {"id": 2, "port": 9}]}"#,
            "nodes[1].port must differ: two nodes listen on 127.0.0.1:9"
        ),
        (#"{"retention": 90}"#, "retention must be an object, { … }"),
        (
            #"{"retention": {"anonymousDays": 0}}"#,
            "retention.anonymousDays must be 1 to 36525, not 0"
        ),
        (
            #"{"retention": {"clock": "sun"}}"#,
            "retention.clock must be \"event\" or \"wall\", not \"sun\""
        ),
        (
            #"{"identity": {"sharedDevice": null}}"#,
            "identity.sharedDevice must be \"first\" or \"quarantine\", not null"
        ),
        (
            #"{"identity": {"blockedValues": ["a", 1]}}"#,
            "identity.blockedValues[1] must be a text, not 1"
        ),
        (
            #"{"identity": {"namespaces": {"Email": {}}}}"#,
            "identity.namespaces.Email must be named by 1 to 64 of a-z 0-9 _ -"
        ),
        (
            #"{"identity": {"namespaces": {"email": {"limit": "5"}}}}"#,
            "identity.namespaces.email.limit must be a whole number from 1 to 256, not \"5\""
        ),
        (
            #"{"identity": {"namespaces": {"email": {"class": 4}}}}"#,
            "identity.namespaces.email.class must be a whole number from 0 to 3, not 4"
        ),
        (
            #"{"identity": {"namespaces": {"email": {"normalise": "upper"}}}}"#,
            "identity.namespaces.email.normalise must be \"email\" or \"none\" or \"phone\", not \"upper\""
        ),
        (
            #"{"identity": {"namespaces": {"fax": null}}}"#,
            "identity.namespaces.fax must not be null: there is no such namespace"
        ),
        (
            #"{"identity": {"namespaces": {"fax": {"from": ["a..b"]}}}}"#,
            "identity.namespaces.fax.from: \"a..b\" has an empty step"
        ),
    ]

    @Test(arguments: wrong)
    func `what is wrong is named by its key`(_ text: String, _ problem: String) {
        do {
            _ = try ClusterFile.parse(Array(text.utf8))
            Issue.record("\(text) was taken")
        } catch {
            #expect(error.problems == [problem])
        }
    }

    @Test func `three nodes without a word on replicas have the copies that can be kept`() throws {
        let cluster = try Self.tree(#"{"nodes": [{"id": 1}, {"id": 2}, {"id": 3}]}"#)

        #expect(cluster["replicas"] == 1)
    }

    @Test func `a memory limit is read, is null where there is none, and has bounds`() throws {
        #expect(try Self.tree("{}")["memory"] == ["limitMiB": nil])
        #expect(try Self.tree(#"{"memory": {"limitMiB": 512}}"#)["memory"] == ["limitMiB": 512])
        #expect(try Self.tree(#"{"memory": {"limitMiB": null}}"#)["memory"] == ["limitMiB": nil])
        for (text, problem) in [
            (#"{"memory": {"limitMiB": 0}}"#, "memory.limitMiB must be 1 to 16777216, not 0"),
            (
                #"{"memory": {"limit": 1}}"#,
                "memory.limit is no key of a cluster file; here are: limitMiB"
            ),
        ] {
            let error = #expect(throws: ClusterFileError.self) { try Self.tree(text) }
            #expect(error?.problems == [problem])
        }
    }
}
