package archive

import "fmt"

// Silent is an archive that doesn't say what it holds. Reading what is in the
// stream works meanwhile.
type Silent struct{ Err error }

func (s *Silent) Error() string { return fmt.Sprintf("the log's archive doesn't answer: %v", s.Err) }
func (s *Silent) Unwrap() error { return s.Err }
