// Package events defines what happened: the event, its subject, its encoding,
// and how a sequence of events becomes the state of an object.
//
// Everything here is pure: no I/O, no clock, no goroutine, no randomness. The
// same events give the same state on every machine.
//
//  1. A [Key] names an object; its events travel on one subject ([Key.Subject]),
//     facts reported about it on one subject per reporter ([Key.FactSubject]).
//  2. An [Event] is one NATS message: a subject, CloudEvents headers and data
//     ([Event.Header], [Parse]). Its type is one of [Types].
//  3. [Diff] says what changed between two versions of an object as a JSON
//     merge patch; [Fold] applies an event to an [Object] and gives the next one.
//     For all values of every kind, applying Diff(old, new) to old gives new.
//  4. Fold never fails: an event that makes no sense is void, and says why
//     ([Void]). It moves nothing but the object's decision sequence.
//  5. [Event.Digest] covers all that an event means, and [Chain] all events of
//     a log in their order: two different events have different encodings.
//  6. [Classify] says which event an accepted API write is, for people too.
//
// Objects are immutable: Fold shares with the old version what it doesn't
// touch, and among objects the parts that are the same (json_part.go). Whoever
// wants to change a value copies it first.
//
// Patches are applied to Go structs while they are read, and written while two
// structs are compared: no JSON of a whole object, no tree in between. What a
// type looks like in JSON is compiled once per type (json_shape.go).
//
// What this package does not do: it doesn't decide whether an event is allowed
// (gateway), doesn't append (bus), and doesn't keep tables (projections).
package events
