package gateway

import (
	"context"
	"fmt"
	"net/http"
	"strings"

	"github.com/reckon-project/reckon/events"
	"github.com/reckon-project/reckon/projections"
	"k8s.io/apiserver/pkg/authentication/authenticator"
	"k8s.io/apiserver/pkg/authentication/serviceaccount"
	"k8s.io/apiserver/pkg/authentication/user"
)

type identityKey struct{}

// identity is who a request is from when that isn't learnt from the request
// itself: the in-process caller, or the owner of a subject on the bus.
type identity struct {
	user  user.Info
	trust trust
	// account is the service account of a custom controller on the bus, else empty.
	// It may act under the leadership named after its identity.
	account    events.Key
	leadership string
}

// trust is how far the origin headers of an identity's requests are believed.
type trust int

const (
	trustNone  trust = iota // a traceparent, as from anybody
	trustOwn                // why it writes, and its own leadership: a custom controller on the bus
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

// busIdentity maps the identity token of a subject api.<identity>.… to a user:
// node:<name> to that node, user:admin to a member of system:masters, and
// controller:<namespace>:<name> to that service account.
func busIdentity(subject string) (identity, error) {
	tokens := strings.Split(subject, ".")
	if len(tokens) < 3 || tokens[0] != "api" {
		return identity{}, fmt.Errorf("%w: subject %q is not api.<identity>.…", events.ErrInvalid, subject)
	}
	token, err := events.DecodeToken(tokens[1])
	if err != nil {
		return identity{}, fmt.Errorf("%w: subject %q: %v", events.ErrInvalid, subject, err)
	}
	kind, name, _ := strings.Cut(token, ":")
	namespace, account, _ := strings.Cut(name, ":")
	switch {
	case kind == "node" && name != "":
		return identity{user: &user.DefaultInfo{Name: "system:node:" + name, Groups: []string{user.NodesGroup, user.AllAuthenticated}}}, nil
	case token == "user:admin":
		return identity{
			user:  &user.DefaultInfo{Name: "admin", Groups: []string{user.SystemPrivilegedGroup, user.AllAuthenticated}},
			trust: trustWords,
		}, nil
	case kind == "controller" && namespace != "" && account != "" && !strings.Contains(account, ":"):
		u := serviceaccount.UserInfo(namespace, account, "")
		return identity{
			user:    &user.DefaultInfo{Name: u.GetName(), Groups: append(u.GetGroups(), user.AllAuthenticated)},
			trust:   trustOwn,
			account: events.Key{Resource: "serviceaccounts", Namespace: namespace, Name: account}, leadership: token,
		}, nil
	}
	return identity{}, fmt.Errorf("%w: %q is neither node:<name>, user:admin nor controller:<namespace>:<service account>", events.ErrInvalid, token)
}

// known reports whether the identity is one that the cluster has now: to delete
// a custom controller's service account is to lock it out.
func (id identity) known(s *projections.Snapshot) bool {
	return id.account == (events.Key{}) || s.Get(id.account).Exists()
}
