// Package controllers runs controllers: pure decisions about one object each,
// made on a consistent snapshot and carried out by the runtime. It serves the
// built-in controllers (one package below this one each; package builtin lists
// them) and is the SDK for custom ones.
//
//	projection.Changes ─► watches ─► one keyed queue per controller ─► Reconcile(snapshot, key)
//	        ▲                                                             │ intents
//	        └── fold ◄── LOG ◄── gateway ◄── intake (HTTP, as the controller's own user)
//	                          ◄── append (status of its own objects) ◄────┘
//
// What [Run] promises:
//
//  1. A key is reconciled by one worker at a time, and again only after
//     everything that its last reconcile wrote is folded and shown to the watches. So
//     Reconcile sees its own writes, and needs no record of what it asked for.
//  2. Each change that a watch maps to a key leads to a reconcile on a snapshot
//     at or after that change. Several changes may share one; those that come together
//     (up to 256) do.
//  3. Intents of one reconcile are started in order, many in flight at once.
//     After the first failure none is started; the key comes back, after a conflict
//     at once on a newer snapshot, otherwise with backoff.
//  4. Only the leader acts, and only after it has folded its own leadership. Each
//     write carries its epoch, so that a deposed leader's writes are void.
//  5. Each write says what it answers: the events that led to the reconcile go
//     with it as its cause, with their trace.
//  6. A panic in Reconcile costs that reconcile, not the process.
//  7. The queue holds a key once, whatever happens to it: it grows by objects,
//     not by changes.
//
// [Program] runs them where there is nothing but a connection to the bus: on a
// projection of what they declare (package bus/client), with facts and the API
// as the only ways to write.
//
// The caller's duties: Reconcile does no I/O, starts no goroutine and reads no
// clock but [Now]; it returns the same for the same snapshot, key, time and
// [Failure]. Objects of a snapshot are shared: copy before changing one.
//
// What it doesn't do: it doesn't validate what a controller writes (the API does),
// and doesn't hand out every version of an object, only newer ones.
package controllers
