package volumebinding_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"

	"k8s.io/apimachinery/pkg/runtime"

	"github.com/reckon-project/reckon/events"
)

// send is one request to the API.
func send(ctx context.Context, api http.RoundTripper, method, path string, obj runtime.Object) error {
	var body []byte
	if obj != nil {
		var err error
		if body, err = events.EncodeObject(obj); err != nil {
			return err
		}
	}
	r, err := http.NewRequestWithContext(ctx, method, "http://api"+path, bytes.NewReader(body))
	if err != nil {
		return err
	}
	answer, err := api.RoundTrip(r)
	if err != nil {
		return err
	}
	defer answer.Body.Close()
	if answer.StatusCode >= 300 && answer.StatusCode != http.StatusNotFound {
		text, _ := io.ReadAll(answer.Body)
		return fmt.Errorf("%s %s: %s", method, path, text)
	}
	return nil
}
