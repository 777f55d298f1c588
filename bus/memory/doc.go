// Package memory is the in-memory twin of the bus: the same promises without
// durability, for simulation and fast tests (bus/bustest runs against both).
//
//  1. It does nothing on its own but what was asked for: goroutines exist only
//     while a message is being delivered, timers only for events that expire. So
//     it works within testing/synctest.
//  2. Everybody who shares a [Bus] has all rights.
//  3. Time comes from the function given to [New].
package memory
