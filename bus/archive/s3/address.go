package s3

import (
	"fmt"
	"net/url"
	"strings"

	"github.com/reckon-project/reckon/events"
)

// Scheme begins addresses of buckets.
const Scheme = "s3://"

// Address says where blobs are:
//
//	s3://bucket/prefix?endpoint=https://minio.example:9000&region=eu-central-1
//
// Without an endpoint the bucket is Amazon's.
type Address struct {
	Bucket   string
	Prefix   string // "" or ends with a slash
	Endpoint string // host:port
	Plain    bool   // HTTP without TLS
	Region   string // "": the store is asked
}

// IsAddress tells addresses of buckets from names of folders.
func IsAddress(text string) bool { return strings.HasPrefix(text, Scheme) }

// ParseAddress reads an address; errors are of class events.ErrInvalid.
func ParseAddress(text string) (Address, error) {
	wrong := func(format string, args ...any) (Address, error) {
		return Address{}, fmt.Errorf("%w: %q: %s; want s3://bucket/prefix?endpoint=https://host:port&region=name", events.ErrInvalid, text, fmt.Sprintf(format, args...))
	}
	u, err := url.Parse(text)
	if err != nil || u.Scheme+"://" != Scheme {
		return wrong("not the address of a bucket")
	}
	if u.User != nil {
		return Address{}, fmt.Errorf("%w: credentials don't belong in an address: give them by AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY or in a file", events.ErrInvalid)
	}
	a := Address{Bucket: u.Host, Endpoint: "s3.amazonaws.com"}
	if a.Bucket == "" || u.Port() != "" {
		return wrong("a bucket's name comes first")
	}
	if a.Prefix = strings.Trim(u.Path, "/"); a.Prefix != "" {
		a.Prefix += "/"
	}
	for name, values := range u.Query() {
		switch value := values[0]; name {
		case "region":
			a.Region = value
		case "endpoint":
			e, err := url.Parse(value)
			if err != nil || e.Host == "" || e.Scheme != "https" && e.Scheme != "http" || strings.Trim(e.Path, "/") != "" {
				return wrong("endpoint %q isn't like https://host:port", value)
			}
			a.Endpoint, a.Plain = e.Host, e.Scheme == "http"
		default:
			return wrong("there is no setting %q", name)
		}
	}
	return a, nil
}

// String is the inverse of ParseAddress.
func (a Address) String() string {
	q := url.Values{}
	if a.Endpoint != "s3.amazonaws.com" || a.Plain {
		scheme := "https://"
		if a.Plain {
			scheme = "http://"
		}
		q.Set("endpoint", scheme+a.Endpoint)
	}
	if a.Region != "" {
		q.Set("region", a.Region)
	}
	u := url.URL{Scheme: "s3", Host: a.Bucket, Path: "/" + strings.TrimSuffix(a.Prefix, "/"), RawQuery: q.Encode()}
	return u.String()
}
