// Numbers of the Zipf distribution without a table, by rejection-inversion (Hörmann and Derflinger,
// 1996): invert the integral of the density's hat, round, and reject what lies above the density.
// About one draw in a thousand is rejected, and memory does not grow with the visitors.
//
//   h(x) = x^−s        H(x) = ∫ h = (x^(1−s) − 1) / (1 − s), and log x for s = 1
//
// Near s = 1 the textbook forms cancel to nothing; `expm1` and `log1p` with a series at 0 do not.

import Foundation
import KithSimulation

/// Draws 0 ..< `count` with probability in proportion to 1 / (number + 1)^skew.
package struct ZipfSampler: Sendable {
    private let count: Double
    private let skew: Double
    private let integralAtFirst: Double
    private let integralAtLast: Double
    private let sureDistance: Double

    /// `count` is at least 1, `skew` at least 0; 0 draws all numbers alike.
    package init(count: Int, skew: Double) {
        precondition(count > 0 && skew >= 0, "\(count) numbers with skew \(skew)")
        self.count = Double(count)
        self.skew = skew
        integralAtFirst = Self.integral(1.5, skew) - 1
        integralAtLast = Self.integral(Double(count) + 0.5, skew)
        sureDistance =
            2 - Self.inverse(Self.integral(2.5, skew) - Self.density(2, skew), skew)
    }

    /// The first `count` numbers of a seed.
    package func draws(_ count: Int, seed: UInt64) -> [Int] {
        var random = Xoshiro256(seed: seed)
        return (0..<count).map { _ in next(&random) }
    }

    /// The next number. O(1).
    func next(_ random: inout Xoshiro256) -> Int {
        while true {
            let part = Double(random.next() >> 11) * 0x1p-53
            let place = integralAtLast + part * (integralAtFirst - integralAtLast)
            let x = Self.inverse(place, skew)
            let rank = min(max(x.rounded(), 1), count)
            if rank - x <= sureDistance
                || place >= Self.integral(rank + 0.5, skew) - Self.density(rank, skew)
            {
                return Int(rank) - 1
            }
        }
    }

    private static func density(_ x: Double, _ skew: Double) -> Double { exp(-skew * log(x)) }

    private static func integral(_ x: Double, _ skew: Double) -> Double {
        let logarithm = log(x)
        return expm1OverX((1 - skew) * logarithm) * logarithm
    }

    private static func inverse(_ x: Double, _ skew: Double) -> Double {
        // Rounding may carry the product below −1, where the logarithm ends.
        exp(log1pOverX(max(x * (1 - skew), -1)) * x)
    }

    /// (e^x − 1) / x, also at 0.
    private static func expm1OverX(_ x: Double) -> Double {
        x.magnitude > 1e-8 ? expm1(x) / x : 1 + x / 2
    }

    /// log(1 + x) / x, also at 0.
    private static func log1pOverX(_ x: Double) -> Double {
        x.magnitude > 1e-8 ? log1p(x) / x : 1 - x / 2
    }
}
