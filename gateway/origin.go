package gateway

import (
	"fmt"
	"net/http"
	"strconv"
	"strings"

	"github.com/reckon-project/reckon/events"
	"github.com/reckon-project/reckon/gateway/store"
)

// The headers by which a caller in process says why it writes. From an
// administrator on the bus Cause, Reason, Note and Type are taken, the latter
// only if it is one that the gateway writes; from a custom controller Cause, Reason,
// Note, and Component and Epoch if the leadership is its own. Traceparent is the standard one and
// is taken from anybody.
const (
	HeaderCause     = "Reckon-Cause"     // sequences, separated by commas
	HeaderReason    = "Reckon-Reason"    // CamelCase
	HeaderNote      = "Reckon-Note"      // a sentence
	HeaderComponent = "Reckon-Component" // the leadership under which the caller acts
	HeaderEpoch     = "Reckon-Epoch"     // its sequence
	HeaderType      = "Reckon-Type"      // the event's type, where the change doesn't say it
	HeaderSource    = "Reckon-Source"    // the component that writes

	headerTraceparent = "Traceparent"
)

// withOrigin carries the origin headers into the context of the store. A
// malformed number in one is the caller's mistake and answers 400.
func withOrigin(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var o store.Origin
		if v := r.Header.Get(headerTraceparent); validTraceparent(v) {
			o.Traceparent = v
		}
		if id, ok := identityFrom(r.Context()); ok && id.trust > trustNone {
			if err := readOrigin(&o, r.Header, id); err != nil {
				http.Error(w, err.Error(), http.StatusBadRequest)
				return
			}
		}
		next.ServeHTTP(w, r.WithContext(store.WithOrigin(r.Context(), o)))
	})
}

func readOrigin(o *store.Origin, h http.Header, id identity) error {
	o.Reason, o.Note = h.Get(HeaderReason), h.Get(HeaderNote)
	if id.trust != trustOwn {
		o.Type = h.Get(HeaderType)
	}
	component := h.Get(HeaderComponent)
	switch {
	case id.trust == trustAll, id.trust == trustOwn && component == id.leadership:
		o.Component = component
		if id.trust == trustAll {
			o.Source = h.Get(HeaderSource)
		}
		if v := h.Get(HeaderEpoch); v != "" {
			n, err := strconv.ParseUint(v, 10, 64)
			if err != nil {
				return fmt.Errorf("header %s: %w", HeaderEpoch, err)
			}
			o.Epoch = n
		}
	case o.Type != "" && events.Types[o.Type] != events.WriterGateway:
		return fmt.Errorf("header %s: events of type %q aren't written through the API", HeaderType, o.Type)
	}
	if v := h.Get(HeaderCause); v != "" {
		for _, part := range strings.Split(v, ",") {
			n, err := strconv.ParseUint(strings.TrimSpace(part), 10, 64)
			if err != nil {
				return fmt.Errorf("header %s: %w", HeaderCause, err)
			}
			o.Cause = append(o.Cause, n)
		}
	}
	return nil
}

// validTraceparent checks the form of version 00 of the W3C recommendation:
// 00-<32 hex>-<16 hex>-<2 hex>.
func validTraceparent(v string) bool {
	if len(v) != 55 || v[:3] != "00-" || v[35] != '-' || v[52] != '-' {
		return false
	}
	return strings.Trim(v[3:35]+v[36:52]+v[53:], "0123456789abcdef") == ""
}
