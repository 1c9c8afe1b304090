// What the commands that talk to a node share: the `--node` and `--space` options, a client for as
// long as the command runs, and what its errors mean to the caller.

import Glibc
import KithClient
import KithCore
import KithRuntime
import KithWire

/// The nodes that a command may ask.
struct NodeChoice: Sendable {
    static let standard = "127.0.0.1:7101"
    static let option = CommandSyntax.Option(
        "node", value: "H:P[,H:P…]", standard: optionStandard,
        help: "nodes to ask: the first that answers is used, the others are fallen back to")
    static let optionStandard = "$\(variable), else \(standard)"
    static let spaceOption = CommandSyntax.Option(
        "space", value: "NAME", standard: "$\(spaceVariable), else \(spaceStandard)",
        help: "the brand or tenant")
    static let spaceStandard = "default"
    /// Variables of the environment that stand for options that are not given.
    static let variable = "KITH_NODE"
    static let spaceVariable = "KITH_SPACE"

    let addresses: [NodeAddress]

    init(_ arguments: Arguments) throws(UsageError) {
        let (text, source) =
            Self.given("node", Self.variable, arguments) ?? (Self.standard, "--node")
        guard let addresses = NodeAddress.list(text), !addresses.isEmpty else {
            throw UsageError(
                "\(source) must be host:port, or several with commas between, not \"\(text)\"")
        }
        self.addresses = addresses
    }

    static func space(_ arguments: Arguments) throws(UsageError) -> String {
        let (space, source) =
            given("space", spaceVariable, arguments) ?? (spaceStandard, "--space")
        guard IdentityRules.isName(space.utf8) else {
            throw UsageError(
                "\(source) must be 1 to \(IdentityRules.nameBytesMax) of a-z 0-9 _ -, not "
                    + "\"\(space)\"")
        }
        return space
    }

    /// What an option is given, or its variable of the environment, and which of them says so; nil
    /// where neither does. A variable that is empty says nothing.
    private static func given(
        _ option: String, _ variable: String, _ arguments: Arguments
    ) -> (text: String, source: String)? {
        if let text = arguments[option] { return (text, "--" + option) }
        guard let text = getenv(variable).map({ String(cString: $0) }), !text.isEmpty else {
            return nil
        }
        return (text, variable)
    }

    static var clientOptions: ClientOptions {
        var options = ClientOptions()
        options.software = KithCommand.software
        return options
    }

    /// Runs `body` with a client on a loop of its own; an error is printed and becomes an exit
    /// code.
    func use(
        _ command: String, _ console: Console,
        _ body: @escaping @Sendable (Client, Runtime) async throws -> ExitCode
    ) -> ExitCode {
        Self.withRuntime(command, console, loopCount: 1) { runtime in
            do {
                return try await Client.withClient(
                    addresses: addresses, options: Self.clientOptions, network: runtime.network,
                    clock: runtime.clock, loop: runtime.loops[0]
                ) { client in try await body(client, runtime) }
            } catch {
                return Self.report(error, command, console)
            }
        }
    }

    /// Runs `body` on the first loop of a runtime.
    static func withRuntime(
        _ command: String, _ console: Console, loopCount: Int,
        _ body: @escaping @Sendable (Runtime) async -> ExitCode
    ) -> ExitCode {
        do {
            return try Runtime.run(loopCount: loopCount) { runtime in await body(runtime) }
        } catch {
            console.complain("kith \(command): \(error)")
            return .failed
        }
    }

    /// Prints an error; the exit code that it means.
    static func report(_ error: any Error, _ command: String, _ console: Console) -> ExitCode {
        var text = "\(error)"
        if case .refused(_, .unknownNamespace, let known, _)? = error as? ClientError {
            text = known
        }
        console.complain("kith \(command): \(Words.printable(text))")
        guard let error = error as? ClientError else { return .failed }
        return exitCode(error)
    }

    static func exitCode(_ error: ClientError) -> ExitCode {
        switch error {
        case .unreachable, .timedOut, .unanswered: .unavailable
        case .refused(_, let code, _, _):
            switch code {
            case .unknownNamespace, .badSpace: .usage
            case .unavailable, .overloaded, .shuttingDown, .deadlineExceeded, .starting, .clock:
                .unavailable
            default: .failed
            }
        case .protocolError, .tooLarge, .tooManyRequests, .cancelled, .closed: .failed
        }
    }
}
