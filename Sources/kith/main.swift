import Glibc

exit(KithCommand.run(Array(CommandLine.arguments.dropFirst()), Console()).rawValue)
