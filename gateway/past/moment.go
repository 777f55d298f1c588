package past

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/reckon-project/reckon/events"
	"github.com/reckon-project/reckon/projections/history"
)

// Prefix is what the paths of the past begin with; the moment follows.
const Prefix = "/at/"

// Headers of answers under a moment.
const (
	HeaderSequence = "Reckon-At"      // its position in the log
	HeaderTime     = "Reckon-At-Time" // its time, RFC 3339
)

// Moment is a resolved moment: the answer of /at/<when>.
type Moment struct {
	When     string    `json:"when"`     // as it was asked for
	Sequence uint64    `json:"sequence"` // position of the log
	Time     time.Time `json:"time"`     // when the event at the position was stored
}

// split takes a moment off a path: "/at/10m/api/v1" is "10m" and "/api/v1".
func split(path string) (when, rest string, ok bool) {
	after, ok := strings.CutPrefix(path, Prefix)
	if !ok || after == "" {
		return "", "", false
	}
	when, rest, _ = strings.Cut(after, "/")
	return when, "/" + rest, when != ""
}

// resolve finds the position that a moment means.
func (p *Past) resolve(ctx context.Context, when string) (Moment, error) {
	parsed, err := history.ParseMoment(when, p.Now())
	if err != nil {
		return Moment{}, apierrors.NewBadRequest(text(err))
	}
	position, err := parsed.Position(ctx, p.Log)
	switch {
	case errors.Is(err, events.ErrGone):
		return Moment{}, status(http.StatusGone, metav1.StatusReasonGone, text(err))
	case errors.Is(err, events.ErrInvalid):
		return Moment{}, apierrors.NewBadRequest(text(err))
	case errors.Is(err, events.ErrUnavailable):
		return Moment{}, apierrors.NewServiceUnavailable(text(err))
	case err != nil:
		return Moment{}, err
	}
	m := Moment{When: when, Sequence: position, Time: parsed.Time}
	if m.Time.IsZero() {
		if m.Time, err = p.timeOf(ctx, position); err != nil {
			return Moment{}, err
		}
	}
	return m, nil
}

// timeOf is when the event at a position was stored.
func (p *Past) timeOf(ctx context.Context, position uint64) (time.Time, error) {
	e, err := p.Log.Get(ctx, position)
	switch {
	case errors.Is(err, events.ErrGone), errors.Is(err, events.ErrNotFound):
		return p.Now(), nil // the base checkpoint's own position: its event is trimmed
	case err != nil:
		return time.Time{}, fmt.Errorf("time of %d: %w", position, err)
	}
	return e.Stored, nil
}

// text is an error's text without the name of its class at the end.
func text(err error) string {
	for _, class := range []error{events.ErrGone, events.ErrInvalid, events.ErrUnavailable} {
		if errors.Is(err, class) {
			return strings.TrimSuffix(err.Error(), ": "+class.Error())
		}
	}
	return err.Error()
}

// status makes an API error.
func status(code int32, reason metav1.StatusReason, message string) error {
	return &apierrors.StatusError{ErrStatus: metav1.Status{Status: metav1.StatusFailure, Code: code, Reason: reason, Message: message}}
}
