package api

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/reckon-project/reckon/bus"
	"github.com/reckon-project/reckon/events"
)

const mostAnswer = 4 << 20

// Client speaks to the API as one node.
type Client struct {
	http *http.Client
}

// Transport reaches the API over the bus as the node.
func Transport(b bus.Bus, node string) *http.Transport {
	subject := "api." + events.EncodeToken("node:"+node) + ".conn"
	return &http.Transport{
		DialContext:     func(ctx context.Context, _, _ string) (net.Conn, error) { return b.Dial(ctx, subject) },
		MaxConnsPerHost: 4, MaxIdleConnsPerHost: 1, IdleConnTimeout: 30 * time.Second,
	}
}

// New makes a client on a transport.
func New(transport http.RoundTripper) *Client {
	return &Client{http: &http.Client{Transport: transport, Timeout: 30 * time.Second}}
}

// Close ends idle connections.
func (c *Client) Close() { c.http.CloseIdleConnections() }

// do sends a JSON request and decodes the answer. An error has the project's
// class of the API's status.
func (c *Client) do(ctx context.Context, method, path, contentType string, in, out any) error {
	var body io.Reader
	if in != nil {
		data, err := json.Marshal(in)
		if err != nil {
			return err
		}
		body = bytes.NewReader(data)
	}
	r, err := http.NewRequestWithContext(ctx, method, "http://kubernetes"+path, body)
	if err != nil {
		return err
	}
	r.Header.Set("Accept", "application/json")
	r.Header.Set("User-Agent", "reckon-agent")
	if in != nil {
		r.Header.Set("Content-Type", contentType)
	}
	answer, err := c.http.Do(r)
	if err != nil {
		return fmt.Errorf("%w: %s %s: %v", events.ErrUnavailable, method, path, err)
	}
	defer answer.Body.Close()
	data, err := io.ReadAll(io.LimitReader(answer.Body, mostAnswer))
	if err != nil {
		return fmt.Errorf("%w: %s %s: %v", events.ErrUnavailable, method, path, err)
	}
	if answer.StatusCode >= 300 {
		return failure(method, path, answer.StatusCode, data)
	}
	if out == nil {
		return nil
	}
	return json.Unmarshal(data, out)
}

func failure(method, path string, code int, data []byte) error {
	var status metav1.Status
	text := string(data)
	if json.Unmarshal(data, &status) == nil && status.Message != "" {
		text = status.Message
	}
	class := events.ErrUnavailable
	switch {
	case code == http.StatusNotFound:
		class = events.ErrNotFound
	case code == http.StatusConflict && status.Reason == metav1.StatusReasonAlreadyExists:
		class = events.ErrExists
	case code == http.StatusConflict:
		class = events.ErrConflict
	case code >= 400 && code < 500 && code != http.StatusTooManyRequests:
		class = events.ErrInvalid
	}
	return fmt.Errorf("%w: %s %s: %d: %s", class, method, path, code, text)
}
