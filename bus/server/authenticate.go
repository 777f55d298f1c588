package server

import (
	"crypto/subtle"
	"fmt"
	"strings"
	"time"

	"github.com/nats-io/nats-server/v2/server"

	"github.com/reckon-project/reckon/events"
)

// authentication checks every connection. In-process ones show the server's
// own secret and are believed who they say they are.
type authentication struct{ s *Server }

// readyWait is how long a connection from outside waits for the server to be
// up; NATS gives a client two seconds to be let in.
const readyWait = 1500 * time.Millisecond

func (a authentication) Check(c server.ClientAuthentication) bool {
	o := c.GetOpts()
	if subtle.ConstantTimeCompare([]byte(o.Password), []byte(a.s.secret)) == 1 {
		return a.register(c, o.Username)
	}
	if !strings.HasPrefix(o.Username, "server:") { // one that joins may be what the majority waits for
		select {
		case <-a.s.ready:
		case <-time.After(readyWait):
			return false
		}
	}
	if a.s.options.Authenticate == nil {
		return false
	}
	login := Login{User: o.Username, Password: o.Password, Token: o.Token, TLS: c.GetTLSConnectionState()}
	if remote := c.RemoteAddress(); remote != nil {
		login.Remote = remote.String()
	}
	identity, err := a.s.options.Authenticate(login)
	if err != nil {
		a.s.options.Log.Warn("refused a connection to the bus", "user", login.User, "remote", login.Remote, "error", err)
		return false
	}
	return a.register(c, identity)
}

func (a authentication) register(c server.ClientAuthentication, identity string) bool {
	p, err := permissions(identity)
	if err != nil {
		a.s.options.Log.Warn("refused a connection to the bus", "error", err)
		return false
	}
	c.RegisterUser(&server.User{Username: identity, Permissions: p})
	return true
}

// permissions of an identity; nil means all.
func permissions(identity string) (*server.Permissions, error) {
	class, name, _ := strings.Cut(identity, ":")
	if name == "" {
		return nil, fmt.Errorf("%w: identity %q is not <class>:<name>", events.ErrInvalid, identity)
	}
	if class == "server" {
		return joining(identity, name), nil
	}
	token, name := events.EncodeToken(identity), events.EncodeToken(name)
	publish := []string{
		"api." + token + ".>", "t.u.api." + token + ".>",
	}
	subscribe := []string{
		"_INBOX_" + token + ".>", "t.d.api." + token + ".>",
	}
	switch class {
	case "component":
		return nil, nil
	case "user", "controller": // the API, and what is served beside it
	case "node":
		publish = append(publish,
			"put."+token+".fact."+name+".>", "beat."+name, "usage."+name, "bus.durable",
			"read."+token+".>", "t.u.read."+token+".>",
			"t.d.tunnel."+name+".>")
		subscribe = append(subscribe,
			"t.d.read."+token+".>",
			"tunnel."+name+".>", "t.u.tunnel."+name+".>")
	default:
		return nil, fmt.Errorf("%w: identity %q has an unknown class", events.ErrInvalid, identity)
	}
	return &server.Permissions{
		Publish:   &server.SubjectPermission{Allow: publish},
		Subscribe: &server.SubjectPermission{Allow: subscribe},
		Response:  &server.ResponsePermission{MaxMsgs: 1, Expires: time.Minute},
	}, nil
}
