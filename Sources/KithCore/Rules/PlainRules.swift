/// The rules of this module that a checker must notice when they are broken, each written once and
/// under its name. Product code asks `Rules`, which is this in every build but one.
///
/// In a build with `KITH_PLANTED` it is `PlantedRules`: for each rule what the wrong variants do,
/// where one is planted in the run, and else the rule as it stands here. The compiler holds the two
/// together: a rule that has no planted form does not build there.
enum PlainRules {}

#if KITH_PLANTED
typealias Rules = PlantedRules
#else
typealias Rules = PlainRules
#endif
