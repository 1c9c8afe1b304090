package import KithCore

extension IgnoredIdentifier {
    /// Why a value is never an identifier, for somebody who asks for it.
    package var explanation: String {
        switch self {
        case .blocked:
            "the value stands for nobody in particular (identity.blockedValues of the cluster file)"
        case .empty: "the value is empty"
        case .invalid: "the value is not what its namespace asks for"
        case .limit: "an event names too many"
        case .tooLong: "the value is too long"
        case .unknownNamespace: "the cluster has no such namespace"
        case .zeros: "the value is zeros only"
        }
    }
}
