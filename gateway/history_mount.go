package gateway

import (
	"github.com/reckon-project/reckon/gateway/history"
	past "github.com/reckon-project/reckon/projections/history"
)

// mountHistory serves questions about the past beside the API.
func (s *Server) mountHistory() {
	api := s.aggregator.GenericAPIServer
	api.Handler.NonGoRestfulMux.HandlePrefix(history.Prefix, history.New(history.Options{
		Reader:     &past.Reader{Log: s.options.Bus.Log(), Projection: s.options.Log},
		Authorizer: api.Authorizer, Sealer: s.options.Sealer, Transport: s.Transport,
	}))
}
