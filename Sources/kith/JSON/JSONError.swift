/// Where and why bytes are not JSON.
package struct JSONError: Error, Equatable, Sendable {
    package enum Problem: Equatable, Sendable {
        case endOfText
        /// Something else must stand here: the text says what.
        case expected(String)
        case badEscape
        case controlCharacter
        case notUTF8
        case badNumber
        /// A float beyond 64 bits, or an integer of more than `JSONTranscoder.integerDigitsMax`.
        case numberTooLarge
        /// More than `JSONTranscoder.depthMax` objects and arrays inside one another.
        case tooDeep
        case textAfterValue
        /// A name that comes again in the same object, where that is not taken.
        case repeatedName(String)
    }

    package var problem: Problem
    /// Bytes from the start of the text.
    package var offset: Int

    package init(_ problem: Problem, offset: Int) {
        self.problem = problem
        self.offset = offset
    }
}

extension JSONError: CustomStringConvertible {
    /// What is wrong, without the place.
    package var description: String {
        switch problem {
        case .endOfText: "the text ends too early"
        case .expected(let what): "\(what) must stand here"
        case .badEscape: "no such escape"
        case .controlCharacter: "a control character inside a string"
        case .notUTF8: "bytes that are not UTF-8"
        case .badNumber: "not a number as JSON writes them"
        case .numberTooLarge: "a number too large"
        case .tooDeep: "nested deeper than \(JSONTranscoder.depthMax)"
        case .textAfterValue: "text behind the value"
        case .repeatedName(let name):
            "\"\(name)\" is given twice in one object; give it once"
        }
    }
}
