package past

import (
	"bytes"
	"fmt"
	"net/http"
)

// recorder keeps an answer of a handler in memory.
type recorder struct {
	header http.Header
	body   bytes.Buffer
	code   int
}

func newRecorder() *recorder { return &recorder{header: http.Header{}, code: http.StatusOK} }

func (r *recorder) Header() http.Header         { return r.header }
func (r *recorder) Write(p []byte) (int, error) { return r.body.Write(p) }
func (r *recorder) WriteHeader(code int)        { r.code = code }

// get is the body of what h answers to a GET in the name of who sent like.
func get(h http.Handler, like *http.Request, path, accept string) ([]byte, error) {
	r := like.Clone(like.Context())
	r.Method, r.Header = http.MethodGet, http.Header{"Accept": {accept}}
	r.URL.Path, r.URL.RawPath, r.URL.RawQuery = path, "", ""
	r.RequestURI = path
	out := newRecorder()
	h.ServeHTTP(out, r)
	if out.code != http.StatusOK {
		return nil, fmt.Errorf("GET %s answers %d: %s", path, out.code, out.body.String())
	}
	return out.body.Bytes(), nil
}
