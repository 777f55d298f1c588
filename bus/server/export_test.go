package server

import "github.com/nats-io/nats.go"

// Dial opens a connection beside those that Connect makes.
func (s *Server) Dial(identity string) (*nats.Conn, error) { return s.dial(identity)() }
