internal import Glibc

/// A counting semaphore for threads that may block; never for tasks.
final class Semaphore: @unchecked Sendable {
    private let handle = UnsafeMutablePointer<sem_t>.allocate(capacity: 1)

    init() { sem_init(handle, 0, 0) }

    deinit {
        sem_destroy(handle)
        handle.deallocate()
    }

    func signal() { sem_post(handle) }

    /// Blocks until there is one signal to take.
    func wait() { _ = systemCall { sem_wait(handle) } }
}
