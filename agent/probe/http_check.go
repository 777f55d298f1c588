package probe

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"

	v1 "k8s.io/api/core/v1"
)

// client asks each time anew, as the kubelet does: no connection is kept, no
// certificate checked, no other host followed.
var client = &http.Client{
	Transport: &http.Transport{
		TLSClientConfig:    &tls.Config{InsecureSkipVerify: true},
		DisableKeepAlives:  true,
		DisableCompression: true,
		Proxy:              nil,
	},
	CheckRedirect: func(r *http.Request, via []*http.Request) error {
		if r.URL.Hostname() != via[0].URL.Hostname() || len(via) >= 10 {
			return http.ErrUseLastResponse
		}
		return nil
	},
}

func checkHTTP(ctx context.Context, a *v1.HTTPGetAction, t Target) error {
	r, err := NewRequest(ctx, a, t)
	if err != nil {
		return err
	}
	response, err := client.Do(r)
	if err != nil {
		return fmt.Errorf("Get %q: %w", r.URL, err) //nolint:staticcheck // the words of the kubelet
	}
	defer response.Body.Close()
	if _, err := io.Copy(io.Discard, io.LimitReader(response.Body, longestOutput)); err != nil {
		return err
	}
	if response.StatusCode < 200 || response.StatusCode >= 400 {
		return fmt.Errorf("HTTP probe failed with statuscode: %d", response.StatusCode)
	}
	return nil
}

// NewRequest makes the request of an HTTP handler.
func NewRequest(ctx context.Context, a *v1.HTTPGetAction, t Target) (*http.Request, error) {
	address, err := t.address(a.Host, a.Port)
	if err != nil {
		return nil, err
	}
	scheme := "http"
	if a.Scheme != "" {
		scheme = strings.ToLower(string(a.Scheme))
	}
	u, err := url.Parse(a.Path)
	if err != nil {
		u = &url.URL{Path: a.Path}
	}
	u.Scheme, u.Host = scheme, address
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, u.String(), nil)
	if err != nil {
		return nil, err
	}
	r.Header.Set("User-Agent", "kube-probe/1.37")
	r.Header.Set("Accept", "*/*")
	for _, h := range a.HTTPHeaders {
		if strings.EqualFold(h.Name, "host") {
			r.Host = h.Value
			continue
		}
		r.Header.Add(h.Name, h.Value)
	}
	return r, nil
}

// Get carries out an HTTP handler of a lifecycle hook. A server that was to speak HTTPS and
// speaks HTTP is asked in HTTP, as the kubelet does since hooks had no scheme once.
func Get(ctx context.Context, a *v1.HTTPGetAction, t Target) error {
	err := checkHTTP(ctx, a, t)
	if a.Scheme == v1.URISchemeHTTPS && errors.Is(err, http.ErrSchemeMismatch) {
		plain := *a
		plain.Scheme, plain.HTTPHeaders = v1.URISchemeHTTP, nil
		for _, h := range a.HTTPHeaders {
			if !strings.EqualFold(h.Name, "Authorization") {
				plain.HTTPHeaders = append(plain.HTTPHeaders, h)
			}
		}
		return checkHTTP(ctx, &plain, t)
	}
	return err
}
