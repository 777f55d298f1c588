package scheduler

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"strconv"

	"github.com/reckon-project/reckon/events"
)

// ask sends one write to the API, as an answer to the event at cause. gone reports
// that there is no such object; any other refusal is an error of class
// [events.ErrConflict]. After other errors nobody knows whether it was done.
func ask(ctx context.Context, api http.RoundTripper, method, path, contentType string, body []byte, cause uint64, trace string) (gone bool, err error) {
	r, err := http.NewRequestWithContext(ctx, method, "http://api"+path, bytes.NewReader(body))
	if err != nil {
		return false, err
	}
	r.Header.Set("Content-Type", contentType)
	r.Header.Set("Accept", "application/json")
	r.Header.Set("User-Agent", "reckon-scheduler")
	r.Header.Set("Reckon-Cause", strconv.FormatUint(cause, 10))
	if trace != "" {
		r.Header.Set("Traceparent", trace)
	}
	answer, err := api.RoundTrip(r)
	if err != nil {
		return false, err
	}
	defer answer.Body.Close()
	if answer.StatusCode >= 300 {
		text, _ := io.ReadAll(io.LimitReader(answer.Body, 4096)) // what it says is for the log only
		class := events.ErrConflict
		if answer.StatusCode >= http.StatusInternalServerError {
			class = events.ErrUnavailable
		}
		return answer.StatusCode == http.StatusNotFound, fmt.Errorf("%w: %s %s: %s: %s", class, method, path, answer.Status, text)
	}
	_, err = io.Copy(io.Discard, answer.Body)
	return false, err
}
