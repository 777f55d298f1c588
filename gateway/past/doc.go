// Package past serves the read API of the past: under /at/<when>/ every path of
// the Kubernetes API shows the cluster as the log had it then.
//
//	/at/10m/api/v1/pods
//	   │ Strip: takes "10m" off the path; refuses what isn't a read
//	   ▼
//	authentication, authorization (today's users and rights)
//	   │ Serve: finds the position that 10m means
//	   ├─► built-in resources ──► the same handlers, whose stores read the past
//	   ├─► custom resources ────► handlers made from the definitions of then
//	   └─► discovery, OpenAPI ──► what was served then
//
// What a [Past] promises:
//
//  1. A moment is written as everywhere (history.ParseMoment): a sequence, an
//     RFC 3339 time, an age. One before the history that is kept answers 410 and
//     says where it begins, one in the future 400.
//  2. Who may read an object now may read its past, and nobody else.
//  3. The past is read-only: anything else answers 405. Questions about rights
//     and tokens (reviews) are answered, as of today.
//  4. Custom resources are served by their definition as it was then, whether or
//     not it still exists.
//  5. A watch under a moment tells what happened up to it and then stays quiet,
//     so a client that lists and watches shows that moment as long as it likes.
//  6. Secrets whose key was destroyed are shown without values and say so.
//  7. Tables give the age that an object had then.
//
// /at/<when> itself answers what the moment is: a [Moment] as JSON.
//
// What it doesn't do: API servers behind an APIService keep their own past (501);
// logs, exec and the like reach what runs now (405); Leases and the Events that
// outside programs write are in no history. Events of the log's own are there.
package past
