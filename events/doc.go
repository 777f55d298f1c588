// Package events defines what happened: the event, its subject, its encoding,
// and how a sequence of events becomes the state of an object.
//
// Everything here is pure: no I/O, no clock, no goroutine, no randomness. The
// same events give the same state on every machine.
//
//  1. A [Key] names an object; its events travel on one subject ([Key.Subject]),
//     facts reported about it on one subject per reporter ([Key.FactSubject]).
//  2. An [Event] is one NATS message: a subject, CloudEvents headers and data
//     ([Event.Header], [Parse]).
//  3. [Diff] says what changed between two versions of an object as a JSON
//     merge patch; [Fold] applies an event to an [Object] and gives the next one.
//  4. Fold never fails: an event that makes no sense is void, and says why
//     ([Void]). It moves nothing but the object's decision sequence.
//
// Objects are immutable: Fold shares with the old version what it doesn't
// touch. Whoever wants to change a value copies it first.
//
// What this package does not do: it doesn't decide whether an event is allowed
// (gateway), doesn't append (bus), and doesn't keep tables (projections).
package events
