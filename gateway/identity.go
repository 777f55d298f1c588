package gateway

import (
	"context"
	"fmt"
	"net/http"
	"strings"

	"github.com/reckon-project/reckon/events"
	"k8s.io/apiserver/pkg/authentication/authenticator"
	"k8s.io/apiserver/pkg/authentication/user"
)

type identityKey struct{}

// identity is who a request is from when that isn't learnt from the request
// itself: the in-process caller, or the owner of a subject on the bus.
type identity struct {
	user  user.Info
	trust trust
}

// trust is how far the origin headers of an identity's requests are believed.
type trust int

const (
	trustNone  trust = iota // a traceparent, as from anybody
	trustWords              // why it writes, and types that the gateway writes: an administrator on the bus
	trustAll                // under which leadership it acts as well: built-in components in process
)

func withIdentity(ctx context.Context, id identity) context.Context {
	return context.WithValue(ctx, identityKey{}, id)
}

func identityFrom(ctx context.Context) (identity, bool) {
	id, ok := ctx.Value(identityKey{}).(identity)
	return id, ok
}

// contextAuthenticator answers for requests that carry an identity in their
// context, and leaves all others to next.
type contextAuthenticator struct{ next authenticator.Request }

func (a contextAuthenticator) AuthenticateRequest(r *http.Request) (*authenticator.Response, bool, error) {
	if id, ok := identityFrom(r.Context()); ok {
		return &authenticator.Response{User: id.user}, true, nil
	}
	return a.next.AuthenticateRequest(r)
}

// loopback is the server's own identity, as in kube-apiserver.
var loopback = &user.DefaultInfo{
	Name:   user.APIServerUser,
	Groups: []string{user.AllAuthenticated, user.SystemPrivilegedGroup},
}

// busUser maps the identity token of a subject api.<identity>.conn to a user:
// node:<name> to that node, user:admin to a member of system:masters.
func busUser(subject string) (user.Info, error) {
	tokens := strings.Split(subject, ".")
	if len(tokens) != 3 || tokens[0] != "api" || tokens[2] != "conn" {
		return nil, fmt.Errorf("%w: subject %q is not api.<identity>.conn", events.ErrInvalid, subject)
	}
	token, err := events.DecodeToken(tokens[1])
	if err != nil {
		return nil, fmt.Errorf("%w: subject %q: %v", events.ErrInvalid, subject, err)
	}
	kind, name, _ := strings.Cut(token, ":")
	switch {
	case kind == "node" && name != "":
		return &user.DefaultInfo{Name: "system:node:" + name, Groups: []string{user.NodesGroup, user.AllAuthenticated}}, nil
	case token == "user:admin":
		return &user.DefaultInfo{Name: "admin", Groups: []string{user.SystemPrivilegedGroup, user.AllAuthenticated}}, nil
	}
	return nil, fmt.Errorf("%w: %q is neither node:<name> nor user:admin", events.ErrInvalid, token)
}
