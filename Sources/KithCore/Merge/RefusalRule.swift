/// Why two identifiers were not joined. The raw value is in the log; the text is what people see.
public enum RefusalRule: UInt8, CaseIterable, Sendable {
    /// Both belong to accounts, and the event is not an alias between the two `user_id`s.
    case twoAccounts = 0
    /// One of them is a shared device: it links to nobody any more.
    case contested = 1
    /// The joined profile would hold more identifiers than allowed.
    case limit = 2

    public var text: String {
        switch self {
        case .twoAccounts: "two_accounts"
        case .contested: "contested"
        case .limit: "limit"
        }
    }
}
