import Glibc
import KithRuntime

do throws(SystemError) {
    try StandardDescriptors.secure()
} catch {
    Console().complain("kith: \(error)")
    exit(ExitCode.failed.rawValue)
}
exit(KithCommand.run(Array(CommandLine.arguments.dropFirst()), Console()).rawValue)
