package gateway

import (
	"context"
	"fmt"
	"net"
	"sync"

	"k8s.io/apiserver/pkg/authorization/authorizer"
	"k8s.io/klog/v2"

	"github.com/reckon-project/reckon/bus"
	"github.com/reckon-project/reckon/bus/client"
	"github.com/reckon-project/reckon/events"
)

// serveControllers serves what package bus/client speaks to, besides the API
// itself, until ctx ends or end is called; end waits for what is under way.
func (s *Server) serveControllers(ctx context.Context) (end func(), err error) {
	ctx, cancel := context.WithCancel(ctx)
	var tasks sync.WaitGroup
	end = func() {
		cancel()
		tasks.Wait()
	}
	defer func() {
		if err != nil {
			end()
		}
	}()
	for service, answer := range map[string]func(context.Context, identity, bus.Message) (any, error){
		"log": s.pollLog, "fact.>": s.takeFact,
	} {
		if err := s.options.Bus.Serve(ctx, "api.*."+service, s.answering(answer)); err != nil {
			return end, fmt.Errorf("serve controllers on the bus: %w", err)
		}
	}
	if err := s.options.Bus.Serve(ctx, "api.*.do", s.do); err != nil {
		return end, fmt.Errorf("serve controllers on the bus: %w", err)
	}
	for service, hold := range map[string]func(context.Context, identity, net.Conn){
		"follow": s.follow, "lead": s.lead,
	} {
		l, err := s.options.Bus.Listen(ctx, "api.*."+service)
		if err != nil {
			return end, fmt.Errorf("serve controllers on the bus: %w", err)
		}
		tasks.Go(func() { s.accept(ctx, l, hold) })
	}
	return end, nil
}

// accept serves each tunnel in a goroutine of its own and waits for all.
func (s *Server) accept(ctx context.Context, l net.Listener, hold func(context.Context, identity, net.Conn)) {
	var conns sync.WaitGroup
	defer conns.Wait()
	for {
		conn, err := l.Accept()
		if err != nil {
			return
		}
		conns.Go(func() {
			defer conn.Close()
			ctx, cancel := context.WithCancel(ctx)
			defer cancel()
			defer context.AfterFunc(ctx, func() { conn.Close() })()
			id, err := busIdentity(conn.LocalAddr().String())
			if err != nil {
				klog.FromContext(ctx).Error(err, "tunnel of nobody known", "subject", conn.LocalAddr())
				return
			}
			if s.awaitRights(ctx) == nil {
				hold(ctx, id, conn)
			}
		})
	}
}

// awaitRights waits until rights are known: a server that has just started
// would refuse everybody.
func (s *Server) awaitRights(ctx context.Context) error {
	select {
	case <-s.ready:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// may reports whether the identity may do verb to a resource, as an error if not.
func (s *Server) may(ctx context.Context, id identity, verb string, k events.Key, subresource string) error {
	if !id.known(s.options.Log.Snapshot()) {
		return client.AsError(events.ErrInvalid, "there is no service account %s/%s", id.account.Namespace, id.account.Name)
	}
	decision, _, err := s.aggregator.GenericAPIServer.Authorizer.Authorize(ctx, authorizer.AttributesRecord{
		User: id.user, Verb: verb, Namespace: k.Namespace, APIGroup: k.Group, APIVersion: "*",
		Resource: k.Resource, Subresource: subresource, Name: k.Name, ResourceRequest: true,
	})
	if decision == authorizer.DecisionAllow {
		return nil
	}
	if err != nil {
		return fmt.Errorf("%w: %w", events.ErrUnavailable, err)
	}
	what := k.Resource
	if k.Group != "" {
		what += "." + k.Group
	}
	if subresource != "" {
		what += "/" + subresource
	}
	where := "in all namespaces"
	if k.Namespace != "" {
		where = "in namespace " + k.Namespace
	}
	return client.AsError(events.ErrInvalid, "%s may not %s %s %s", id.user.GetName(), verb, what, where)
}
