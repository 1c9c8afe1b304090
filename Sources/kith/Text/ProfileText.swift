// A profile for people, and as the JSON object that other programs read.
//
//   Member  user_id:u-17                                             space default
//     user_id        u-17
//     anonymous_id   1           shared by several accounts
//     …

import KithBytes
package import KithCore

/// Renders a merged profile.
package struct ProfileText: Sendable {
    /// Characters of the longest bar of event counts.
    private static let barWidth = 24
    /// Characters of a value that are shown.
    private static let valueCharactersMax = 200

    private let profile: Profile
    private let style: Style
    /// The wall clock, for times as they lie from now.
    private let now: Int64

    package init(_ profile: Profile, style: Style, now: Int64) {
        self.profile = profile
        self.style = style
        self.now = now
    }

    /// Lines for people, without the last line end.
    package var text: String {
        var blocks = [heading + "\n" + identifiers]
        if !profile.traits.isEmpty { blocks.append(style.bold("Traits") + "\n" + traits) }
        blocks.append(times)
        blocks.append(events)
        return blocks.joined(separator: "\n\n")
    }

    private var heading: String {
        let kind: String
        if profile.isQuarantine {
            kind = style.yellow("Shared device")
        } else if profile.isMember {
            kind = style.green("Member")
        } else {
            kind = style.yellow("Anonymous visitor")
        }
        let space = Words.printable(profile.space)
        return style.bold(kind) + "  " + style.dim("\(profile.id.hex), space \(space)")
    }

    private var identifiers: String {
        if profile.isQuarantine {
            return "  What a device shared by several accounts did while nobody was named."
        }
        let rows = profile.identifiers.map { identifier in
            (
                identifier.namespace, identifier.value,
                identifier.isContested ? "shared by several accounts" : ""
            )
        }
        let names = rows.map(\.0.count).max() ?? 0
        let values = min(rows.map(\.1.count).max() ?? 0, 48)
        return rows.map { name, value, note in
            var line =
                "  " + style.dim(Words.padded(Words.printable(name), to: names)) + "  "
                + clipped(value)
            if !note.isEmpty {
                let gap = max(0, values - value.count) + 2
                line += String(repeating: " ", count: gap) + style.yellow(note)
            }
            return line
        }.joined(separator: "\n")
    }

    private var traits: String {
        let names = min(profile.traits.map(\.name.count).max() ?? 0, 32)
        return profile.traits.map { trait in
            let value = Self.value(trait)
            let text: String
            if case .text(let plain) = value { text = plain } else { text = JSONText.make(value) }
            return "  " + style.dim(Words.padded(Words.printable(trait.name), to: names)) + "  "
                + clipped(text)
        }.joined(separator: "\n")
    }

    private var times: String {
        var rows: [(String, String)] = []
        if profile.firstSeen <= profile.lastSeen {
            rows.append(("First seen", moment(profile.firstSeen)))
            rows.append(("Last seen", moment(profile.lastSeen)))
        }
        if let expiresAt = profile.expiresAt {
            rows.append(("Expires", moment(expiresAt)))
        } else {
            rows.append(("Expires", "never"))
        }
        return rows.map { style.bold(Words.padded($0.0, to: 12)) + $0.1 }.joined(separator: "\n")
    }

    private func moment(_ time: Int64) -> String {
        Words.padded(Words.time(time), to: 24) + "  " + style.dim(Words.relative(time, now: now))
    }

    private var events: String {
        let title = style.bold(Words.padded("Events", to: 12)) + Words.grouped(profile.eventsTotal)
        let sorted = profile.events.sorted { a, b in
            a.count != b.count ? a.count > b.count : a.name < b.name
        }
        guard let most = sorted.first?.count, most > 0 else { return title }
        let names = min(sorted.map(\.name.count).max() ?? 0, 40)
        let counts = Words.grouped(most).count
        let rows = sorted.map { event in
            let length = max(1, Int(Double(event.count) / Double(most) * Double(Self.barWidth)))
            let name = String(Words.printable(event.name).prefix(40))
            return "  " + style.dim(Words.padded(name, to: names)) + "  "
                + Words.padded(Words.grouped(event.count), to: counts, isRight: true) + "  "
                + style.cyan(String(repeating: "█", count: length))
        }
        return ([title] + rows).joined(separator: "\n")
    }

    private func clipped(_ text: String) -> String {
        let text = Words.printable(text)
        guard text.count > Self.valueCharactersMax else { return text }
        return text.prefix(Self.valueCharactersMax) + "…"
    }

    private static func value(_ trait: Profile.Trait) -> CBORValue {
        do {
            return try CBORValue(decoding: trait.value.span.bytes)
        } catch {
            // A value that a node holds was read by it; show what cannot be as what it is.
            return .bytes(trait.value)
        }
    }

    // MARK: JSON

    /// The one object of `kith get --json`.
    package static func json(_ profile: Profile) -> String {
        var members: [CBORMember] = [
            CBORMember("profileId", .text(profile.id.hex)),
            CBORMember("kind", profile.isMember ? "member" : "anonymous"),
            CBORMember("space", .text(profile.space)),
            CBORMember(
                "identifiers",
                .array(
                    profile.identifiers.map { identifier in
                        var members = [
                            CBORMember("namespace", .text(identifier.namespace)),
                            CBORMember("value", .text(identifier.value)),
                        ]
                        if identifier.isContested { members.append(CBORMember("contested", true)) }
                        return .map(members)
                    })),
            CBORMember(
                "traits", .map(profile.traits.map { CBORMember(.text($0.name), value($0)) })),
            CBORMember("firstSeen", .integer(profile.firstSeen)),
            CBORMember("lastSeen", .integer(profile.lastSeen)),
            CBORMember("expiresAt", profile.expiresAt.map { .integer($0) } ?? .null),
            CBORMember(
                "events",
                [
                    "total": .unsigned(profile.eventsTotal),
                    "byName": .map(
                        profile.events.map { CBORMember(.text($0.name), .unsigned($0.count)) }),
                ]),
        ]
        if profile.isQuarantine { members.append(CBORMember("quarantine", true)) }
        return JSONText.make(.map(members))
    }
}
