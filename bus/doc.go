// Package bus carries events between the components, and keeps them: it is the
// only package that knows NATS.
//
//	            Append ──► group commit ──► stream LOG ──► Follow ──► projections
//	agent, controllers ──►  (one sync)      stream VOLATILE
//	control plane ────────────────────────► FEED (last value per subject) ──► agents
//	gateway ◄──────────── Dial/Listen: byte tunnels over core NATS ─────────► agents
//
// What a [Log] promises:
//
//  1. An append that returned a sequence is durable: kill -9 and power loss
//     don't take it away.
//  2. An append's outcome is never a guess: nil means stored once, an error of
//     class events.ErrConflict means not stored, and on a lost answer the
//     appender looks the event up by its id before it says anything.
//  3. An expectation is checked on exactly the event's subject, atomically
//     with the append.
//  4. Read and Follow yield events in sequence order, without a gap or a double,
//     and never one that is not durable yet.
//  5. A batch is stored whole, with consecutive sequences, or not at all.
//
// A stored message that isn't an event comes out of Read and Follow with an empty
// Type (its Key from the subject, the reason in Note), so that a fold voids it;
// an envelope newer than this program ends them with *events.NewerEnvelope. An
// expired VOLATILE event is seen as deleted with the Actor "expiry".
//
// What a connection may not do fails at once with *Denied (class ErrInvalid).
// Identities "node:<name>" and "user:<name>" have no access to JetStream's API;
// the server reads for them (reader.go) and appends for them (put.go). A
// "controller:<namespace>:<service account>" speaks to the gateway alone
// (package bus/client).
//
// What it doesn't promise: that an appended event has an effect (the fold may
// find it void), nor an order between LOG and VOLATILE.
//
// [Bus] and its parts are interfaces because there are two implementations: the
// NATS one (here; package bus/server embeds its server) and the in-memory twin
// (bus/memory) for simulation. bus/bustest is the conformance suite of both.
package bus
