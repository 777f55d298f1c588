// Package bustest is the conformance suite of [bus.Bus]: what every
// implementation promises, as tests. Run it with a function that makes a new,
// empty bus with all rights; it may be called many times.
package bustest
