// Package history answers questions about the past: what happened to an
// object, what differs between two moments, and why something is as it is.
//
//	ParseMoment ──► Moment.Position ──► a position of the log
//
// What it promises:
//
//  1. A [Moment] is a sequence, an RFC 3339 time or an age, written the same on
//     every command and URL, and resolves to the position that the log had then.
//  2. A moment before the history that is kept is an error of class
//     events.ErrGone that says where the history begins; one in the future is
//     of class events.ErrInvalid and says where the log ends.
//
// It appends nothing.
package history
