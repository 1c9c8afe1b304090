internal import CLinux
public import KithPorts

/// The kernel's random numbers. One system call each.
public struct SystemRandomness: Randomness {
    public init() {}

    public func nextUInt64() -> UInt64 {
        var value: UInt64 = 0
        let result = systemCall { getrandom(&value, 8, 0) }
        guard case .success(8) = result else {
            preconditionFailure("the kernel gave no random bytes: \(result)")
        }
        return value
    }
}
