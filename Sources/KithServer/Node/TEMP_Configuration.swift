public import KithBytes
public import KithCore
public struct ClusterConfiguration: Sendable {
  public struct Node: Sendable { public var id: NodeID; public var host: String; public var port: UInt16 }
  public struct Retention: Sendable { public var anonymousDays: Int; public var clock: Clock; public enum Clock: Sendable { case wall, event } }
  public var name: String; public var groups: Int; public var replicas: Int; public var hashKey: HashKey; public var nodes: [Node]; public var retention: Retention; public var identity: IdentityRules
}
