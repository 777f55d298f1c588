package controllertest

import "flag"

var more = flag.Uint64("more-seeds", 0, "how many seeds the tests of random plans try besides their own few")

// Seeds is how many seeds a test of random plans tries: few, and -more-seeds.
func Seeds(few uint64) uint64 { return few + *more }
