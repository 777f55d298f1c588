package gateway

// Shapes is how many shapes of pods the short way over HTTP knows.
func (s *Server) Shapes() int { return s.local.short.shapes.Len() }
