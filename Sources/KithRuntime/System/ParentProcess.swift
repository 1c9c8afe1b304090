internal import CLinux

/// The process that has started this one.
public enum ParentProcess {
    /// From now on this process is killed when the thread that has started it ends, and so when its
    /// process ends, however that ends. To be called on the main thread, before there are others.
    /// False where process `id` has ended already, or is not the parent.
    public static func endWith(_ id: Int32) -> Bool { kith_end_with_parent(id) == 0 }
}
