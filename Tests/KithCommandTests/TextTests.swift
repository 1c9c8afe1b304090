import KithBytes
import KithCore
import KithWire
import Testing
import kith

@Suite struct TextTests {
    private static let day: Int64 = 86_400_000

    private static var member: Profile {
        var profile = Profile(id: LeafID(high: 0x0123, low: 0x0456))
        profile.space = "default"
        profile.identifiers = [
            .init(
                identifierClass: .account, namespace: "user_id", value: "u-17", isContested: false),
            .init(
                identifierClass: .anonymous, namespace: "anonymous_id", value: "a\u{1b}[2J",
                isContested: true),
        ]
        profile.traits = [
            .init(name: "city", value: CBORValue.text("Rome/\"Lazio\"").encoded()),
            .init(name: "tags", value: (["b": 1, "a": [1.5, nil]] as CBORValue).encoded()),
        ]
        profile.firstSeen = 0
        profile.lastSeen = 10 * day + 1
        profile.eventsTotal = 1_203
        profile.events = [
            .init(name: "Order Completed", count: 1_200), .init(name: "page", count: 3),
        ]
        return profile
    }

    @Test func `a member reads well, and nothing in it reaches the terminal`() {
        let text = ProfileText(Self.member, style: Style(isOn: false), now: 12 * Self.day).text

        #expect(
            text == """
                Member  00000000000001230000000000000456, space default
                  user_id       u-17
                  anonymous_id  a\\u{1b}[2J  shared by several accounts

                Traits
                  city  Rome/"Lazio"
                  tags  {"a":[1.5,null],"b":1}

                First seen  1970-01-01T00:00:00Z      12 days ago
                Last seen   1970-01-11T00:00:00.001Z  1 day ago
                Expires     never

                Events      1,203
                  Order Completed  1,200  ████████████████████████
                  page                 3  █
                """)
    }

    @Test func `an anonymous visitor shows when it expires`() {
        var profile = Profile(id: LeafID(high: .max, low: 1))
        profile.space = "shop"
        profile.identifiers = [
            .init(
                identifierClass: .anonymous, namespace: "device_id", value: "d",
                isContested: false)
        ]
        profile.firstSeen = 5
        profile.lastSeen = 5
        profile.expiresAt = 90 * Self.day + 5

        #expect(
            ProfileText(profile, style: Style(isOn: false), now: 88 * Self.day).text == """
                Anonymous visitor  ffffffffffffffff0000000000000001, space shop
                  device_id  d

                First seen  1970-01-01T00:00:00.005Z  87 days ago
                Last seen   1970-01-01T00:00:00.005Z  87 days ago
                Expires     1970-04-01T00:00:00.005Z  in 2 days

                Events      0
                """)
    }

    @Test func `the JSON of a profile has the keys that programs depend on`() {
        #expect(
            ProfileText.json(Self.member) == """
                {"events":{"byName":{"Order Completed":1200,"page":3},"total":1203},\
                "expiresAt":null,"firstSeen":0,"identifiers":[{"namespace":"user_id",\
                "value":"u-17"},{"contested":true,"namespace":"anonymous_id",\
                "value":"a\\u001b[2J"}],"kind":"member","lastSeen":864000001,\
                "profileId":"00000000000001230000000000000456","space":"default",\
                "traits":{"city":"Rome/\\"Lazio\\"","tags":{"a":[1.5,null],"b":1}}}
                """)
    }

    @Test func `a quarantine profile says that it is one`() {
        var profile = Profile(id: LeafID(high: .max, low: 1))
        profile.isQuarantine = true

        #expect(ProfileText.json(profile).contains(#""quarantine":true"#))
        #expect(
            ProfileText(profile, style: Style(isOn: false), now: 0).text.hasPrefix("Shared device"))
    }

    @Test func `colours are there only when asked for`() {
        #expect(Style(isOn: true).bold("x") == "\u{1b}[1mx\u{1b}[0m")
        #expect(Style(isOn: false).bold("x") == "x")
    }

    @Test func `totals are columns, whatever their keys`() {
        let nodes: [CBORValue] = [
            ["id": 1, "address": "h:1", "logBytes": 2048], ["id": 10, "address": "host:22"],
        ]
        let totals: CBORValue = [
            "profiles": ["total": 12_345, "byKind": ["member": 3]], "none": .map([]), "expired": 2,
            "nodes": .array(nodes),
        ]

        #expect(
            TreeText.make(totals, style: Style(isOn: false)) == """
                profiles
                  total                   12,345
                  by kind
                    member                     3

                nodes
                  id  address      log
                   1  h:1      2.0 KiB
                  10  host:22         

                expired                 2
                """)
    }

    private static let status: CBORValue = [
        "nodes": [
            ["id": 2, "state": "down", "problem": "it\u{7}"],
            [
                "id": 1, "state": "up", "logIsNearlyFull": false, "uptimeMillis": 1_000,
                "software": "kith 1", "novelty": 3,
            ],
            ["id": 3, "state": "up", "problem": "a long story of eleven words told to somebody"],
            ["id": 4, "state": "starting", "problem": "42 % of its log is replayed"],
        ],
        "groups": [
            ["group": 0, "leader": 1, "state": "up", "profiles": 2_000, "eventsPerSecond": 7],
            ["group": 1, "leader": 2, "state": "down"], ["group": 2, "leader": 9, "state": "lost"],
        ],
        "cluster": "local\u{1b}[2J",
    ]

    @Test func `a status begins with how the cluster stands, and what is wrong`() throws {
        let status = try #require(StatusText(Self.status, Style(isOn: false)))

        #expect(
            status.text(width: nil) == """
                local\\u{1b}[2J   2 of 4 nodes up   1 of 3 groups up   2,000 profiles   7 events/s
                  profiles and events of the groups that are up only

                problems
                    node 2 is down: it\\u{7}
                    node 3: a long story of eleven words told to somebody
                    node 4 is starting: 42 % of its log is replayed
                    group 2 is lost

                nodes
                  id  state     uptime  software  novelty
                   2  down
                   1  up         1.0 s  kith 1          3
                   3  up
                   4  starting

                groups
                  group  state  leader  profiles  events/s
                      0  up          1     2,000         7
                      1  down        2
                      2  lost        9
                """)
    }

    @Test func `a status fits the width, and says where columns are left out`() throws {
        let status = try #require(StatusText(Self.status, Style(isOn: false)))

        let text = status.text(width: 30)

        for line in text.split(separator: "\n").dropFirst() { #expect(line.count <= 30, "\(line)") }
        #expect(!text.contains("novelty"))
        #expect(text.contains("  id  state     uptime\n"))
        #expect(text.contains("    node 3: a long story of\n    eleven words told to\n"))
        #expect(text.hasSuffix("columns that did not fit are\nleft out; --wide shows all"))
    }

    @Test func `a node that refuses is not called up without a word, nor are its groups`() throws {
        let value: CBORValue = [
            "nodes": [
                ["id": 1, "state": "up"],
                ["id": 2, "state": "up", "refuses": "all", "problem": "clock: it is wrong"],
                ["id": 3, "state": "up", "refuses": "events", "problem": "memory: it is full"],
            ],
            "groups": [
                ["group": 0, "leader": 1, "state": "up"], ["group": 1, "leader": 2, "state": "up"],
                ["group": 2, "leader": 2, "state": "up"], ["group": 3, "state": "up"],
            ],
            "cluster": "c",
        ]
        let status = try #require(StatusText(value, Style(isOn: false)))

        let text = status.text(width: nil)

        let head = text.prefix { $0 != "\n" }
        #expect(
            head.hasPrefix(
                "c   3 of 3 nodes up, 1 refusing all, 1 taking no events   "
                    + "4 of 4 groups up, 2 refusing all   "), "\(head)")
        #expect(!text.contains("refuses"))
        for line in status.text(width: 60).split(separator: "\n") { #expect(line.count <= 60) }
        let coloured = try #require(StatusText(value, Style(isOn: true)))
        #expect(!coloured.text(width: nil).contains("\u{1b}[32m"), "nothing is green")
    }

    @Test func `a status without problems has none, and what is no status is none`() throws {
        let well: CBORValue = [
            "nodes": [["id": 1, "state": "up"]], "groups": [["group": 0, "state": "up"]],
            "cluster": "c",
        ]
        let status = try #require(StatusText(well, Style(isOn: false)))
        #expect(status.problems.isEmpty)
        #expect(!status.text(width: nil).contains("only"))
        #expect(StatusText(["profiles": 1], Style(isOn: false)) == nil)
    }

    @Test(arguments: [
        ("abcdef", 3, "abc"), ("abc", 3, "abc"),
        ("\u{1b}[1mabc\u{1b}[0m  d", 2, "\u{1b}[1mab\u{1b}[0m"),
        ("\u{1b}[1mä€c\u{1b}[0mde", 4, "\u{1b}[1mä€c\u{1b}[0md"),
    ])
    func `a line is cut to the terminal, its colours are ended`(
        _ line: String, _ columns: Int, _ expected: String
    ) {
        #expect(Console.cut(line, to: columns) == expected)
    }

    @Test(arguments: [
        (90 * day - 1, "in 89 days"), (-99 * day, "99 days ago"), (100 * day, "in 3 months"),
        (400 * day, "in 1 year"), (0, "now"), (-1_000, "1 second ago"),
    ])
    func `times near now are told in days up to 99`(_ distance: Int64, _ text: String) {
        #expect(Words.relative(distance, now: 0) == text)
    }

    @Test(arguments: [
        (0 as Int64, "1970-01-01T00:00:00Z"), (951_782_400_123, "2000-02-29T00:00:00.123Z"),
        (-1, "1969-12-31T23:59:59.999Z"), (253_402_300_799_999, "9999-12-31T23:59:59.999Z"),
    ])
    func `times are ISO 8601 in UTC`(_ time: Int64, _ text: String) {
        #expect(Words.time(time) == text)
        if time >= 0 { #expect(Timestamp.parse(text.utf8.span.bytes) == time) }
    }

    @Test(arguments: [(0.25, "250 ms"), (1.04, "1.0 s"), (75, "1 min 15 s"), (7_260, "2 h 1 min")])
    func `durations are short`(_ seconds: Double, _ text: String) {
        #expect(Words.seconds(seconds) == text)
    }

    @Test func `the bar tells what is done and how long the rest takes`() {
        var progress = IngestProgress(bytesTotal: 400)
        progress.bytesDone = 100
        progress.events = 12_000
        progress.refused = 3
        progress.seconds = 2

        #expect(
            progress.line
                == "████░░░░░░░░░░░░░░  25 %   12,000 events   6,000/s   6.0 s left   3 refused"
        )
        progress.bytesTotal = nil
        #expect(progress.line == "12,000 events   6,000/s   3 refused")
    }

    @Test func `the summary names every reason and says what expired on arrival`() {
        var tally = IngestTally()
        for _ in 0..<1_500 { tally.count(.ok) }
        tally.count(.duplicate)
        tally.count(.rejected(.noIdentifier))
        tally.count(.rejected(.invalidJSON))
        tally.count(.rejected(.invalidJSON))
        tally.count(.expiredOnArrival)

        #expect(tally.total == 1_505)
        #expect(
            tally.text(fileCount: 2, seconds: 0.5) == """
                2 files, 1,505 events in 500 ms (3,010 events/s)
                  accepted                1,500
                  duplicate                   1
                  refused                     3
                    invalid_json              2
                    no_identifier             1
                1 event of an anonymous visitor is older than retention and was not kept.
                """)
        #expect(
            tally.json(fileCount: 2, seconds: 0.5, errors: []) == """
                {"accepted":1500,"duplicate":1,"errors":[],"events":1505,"eventsPerSecond":3010.0,\
                "expiredOnArrival":1,"files":2,"forgotten":0,"ignoredIdentifiers":{},"leftProvisional":0,"lines":[],\
                "linksLeft":0,"linksRefused":{},"linksVoid":{},"overloaded":0,"rejected":3,\
                "rejectedByReason":{"invalid_json":2,"no_identifier":1},"repeatedNames":0,"seconds":0.5,\
                "stoppedAt":null,"suppressed":0,"timesMoved":0,"traitsRefused":0,"unknown":0,\
                "unsent":0,"withoutMessageId":0,"wrongKinds":{}}
                """)
    }

    @Test func `the summary says what of taken events was not taken`() {
        var tally = IngestTally()
        tally.count(.ok)
        tally.count([
            .ignored(.invalid, namespace: "email", place: "traits.email", count: 1),
            .ignored(.unknownNamespace, namespace: nil, place: "context.externalIds", count: 3),
            .linkRefused(.twoAccounts, namespace: "email"), .linkVoid(.age, namespace: "device_id"),
            .traitsRefused(44), .timeMoved, .noMessageID, .wrongKind(place: "traits", .isOtherText),
            .wrongKind(place: "traits", .isArray), .wrongKind(place: "context", .isOther),
            .repeatedNames(.init(name: "userId", count: 3)),
        ])

        #expect(
            tally.text(fileCount: 1, seconds: 0) == """
                1 file, 1 event in 0 ms
                  accepted                              1
                  duplicate                             0
                  refused                               0
                  ignored (unknown): unknown_namespace  3
                  ignored email: invalid                1
                  ignored context: other                1
                  ignored traits: array                 1
                  ignored traits: text                  1
                  links refused: two_accounts           1
                  links void: age                       1
                  traits over the limit                44
                  times moved to arrival                1
                  names given twice                     3
                  without message id                    1
                """)
        let lines = [LineNote(file: "f", line: 7, reason: nil, text: "t")]
        let json = tally.json(
            fileCount: 1, seconds: 0, errors: [], lines: lines, stoppedAt: "f:9")
        #expect(json.contains(#""ignoredIdentifiers":{"(unknown)":{"unknown_namespace":3}"#))
        #expect(json.contains(#""email":{"invalid":1}}"#))
        #expect(json.contains(#""linksRefused":{"two_accounts":1},"linksVoid":{"age":1}"#))
        #expect(json.contains(#""lines":[{"file":"f","line":7,"message":"t","rejected":null}]"#))
        #expect(json.contains(#""stoppedAt":"f:9""#))
    }

    @Test func `the summary says of every unsettled event whether it may be stored`() {
        var tally = IngestTally()
        tally.count(.answered(.unknown))
        tally.count(.answered(.overloaded))
        tally.count(.answered(.overloaded))
        for _ in 0..<1_000 { tally.count(.unsent) }

        #expect(tally.unsettled == 1_003)
        #expect(tally.total == 1_003)
        #expect(
            tally.text(fileCount: 1, seconds: 0) == """
                1 file, 1,003 events in 0 ms
                  accepted                0
                  duplicate               0
                  refused                 0
                1 event may or may not be stored: no certain answer came. \
                Ingest them again: events with a messageId count once.
                2 events were not taken: nodes had no room or did not answer. \
                Ingest them again later: events with a messageId count once.
                1,000 events could not be sent: no node took them. \
                Ingest them again later: events with a messageId count once.
                """)
    }
}
