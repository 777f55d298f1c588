package bus

import (
	"fmt"

	"github.com/reckon-project/reckon/events"
)

// Denied says that this connection's identity may not do what it tried.
type Denied struct {
	Operation string // "publish" or "subscribe"
	Subject   string
}

func (d *Denied) Error() string {
	return fmt.Sprintf("%s to %s: this identity has no permission for it", d.Operation, d.Subject)
}

func (d *Denied) Is(target error) bool { return target == events.ErrInvalid }
