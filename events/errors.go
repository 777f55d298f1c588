package events

import "errors"

// The error classes of the project. Wrap them with %w and say what was being
// done to which object; the gateway maps them to API statuses in one file.
var (
	ErrNotFound    = errors.New("not found")
	ErrConflict    = errors.New("conflict")    // somebody else was first
	ErrExists      = errors.New("exists")      // an object of that name exists
	ErrGone        = errors.New("gone")        // older than the history that is kept
	ErrInvalid     = errors.New("invalid")     // the request can never succeed as it is
	ErrVoid        = errors.New("void")        // the event was appended and had no effect
	ErrUnavailable = errors.New("unavailable") // try again later
)
