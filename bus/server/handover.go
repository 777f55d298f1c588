package server

import (
	"context"
	"fmt"
	"strings"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"

	"github.com/reckon-project/reckon/bus"
	"github.com/reckon-project/reckon/events"
)

// A server that joins asks one that is there for the cluster's secrets on
// join.<name>, as "server:<name>". This needs no stream, so it works while the
// cluster waits for its majority.
const (
	handoverSubject = "join."
	handoverRefused = "Reckon-Refused"
)

func (s *Server) serveHandover() error {
	if s.options.Handover == nil {
		return nil
	}
	nc, err := s.dial("component:bus")(nats.Name("handover"), nats.CustomInboxPrefix("_INBOX_component:bus"))
	if err != nil {
		return err
	}
	s.handover = nc
	_, err = nc.QueueSubscribe(handoverSubject+"*", "handover", func(m *nats.Msg) {
		answer := nats.NewMsg(m.Reply)
		name, err := events.DecodeToken(strings.TrimPrefix(m.Subject, handoverSubject))
		if err == nil {
			answer.Data, err = s.options.Handover(name)
		}
		if err != nil {
			answer.Header.Set(handoverRefused, err.Error())
		}
		if err := nc.PublishMsg(answer); err != nil {
			s.options.Log.Warn("answer a server that joins", "server", name, "error", err)
		}
	})
	return err
}

// Handover asks the server at url for what a server named who.Identity
// ("server:<name>") needs to join.
func Handover(ctx context.Context, url string, who bus.Credentials) ([]byte, error) {
	options := []nats.Option{
		nats.UserInfo(who.Identity, who.Password), nats.Name(who.Identity),
		nats.CustomInboxPrefix("_INBOX_" + events.EncodeToken(who.Identity)),
	}
	if who.TLS != nil {
		options = append(options, nats.Secure(who.TLS))
	}
	nc, err := nats.Connect(url, options...)
	if err != nil {
		return nil, fmt.Errorf("connect to %s as %s: %w: %w", url, who.Identity, events.ErrUnavailable, err)
	}
	defer nc.Close()
	_, name, _ := strings.Cut(who.Identity, ":")
	m, err := nc.RequestWithContext(ctx, handoverSubject+events.EncodeToken(name), nil)
	if err != nil {
		return nil, fmt.Errorf("ask %s for the cluster's secrets: %w: %w", url, events.ErrUnavailable, err)
	}
	if refused := m.Header.Get(handoverRefused); refused != "" {
		return nil, fmt.Errorf("ask %s for the cluster's secrets: %w: %s", url, events.ErrInvalid, refused)
	}
	return m.Data, nil
}

// joining are the permissions of a server that joins.
func joining(identity, name string) *server.Permissions {
	return &server.Permissions{
		Publish:   &server.SubjectPermission{Allow: []string{handoverSubject + events.EncodeToken(name)}},
		Subscribe: &server.SubjectPermission{Allow: []string{"_INBOX_" + events.EncodeToken(identity) + ".>"}},
	}
}
