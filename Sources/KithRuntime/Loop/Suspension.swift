// Suspending with a cancellation handler, without leaving the caller's executor.
//
// `withTaskCancellationHandler` runs its closure where the closure is isolated to. Written in a
// function that is itself nonisolated, the closure is too, and the task leaves its actor's executor
// for that one step and comes back. Here the closure captures the caller's isolation and stays.

/// Suspends until the continuation given to `park` is resumed, and it must be exactly once.
/// `onCancel` runs when the task is cancelled, at once if it already is: so possibly before `park`,
/// or beside it on another thread.
func suspend<Value: Sendable>(
    isolation: isolated (any Actor)? = #isolation,
    _ park: (UnsafeContinuation<Value, Never>) -> Void,
    onCancel: @Sendable () -> Void
) async -> Value {
    await withTaskCancellationHandler {
        await withUnsafeContinuation(isolation: isolation, park)
    } onCancel: {
        onCancel()
    }
}
