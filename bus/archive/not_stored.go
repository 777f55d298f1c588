package archive

import "fmt"

// NotStored is a segment that the archive didn't take, or didn't give back as it
// was: its events stay in the stream.
type NotStored struct {
	Span Span
	Err  error
}

func (n *NotStored) Error() string { return fmt.Sprintf("archive segment %s: %v", n.Span, n.Err) }
func (n *NotStored) Unwrap() error { return n.Err }
