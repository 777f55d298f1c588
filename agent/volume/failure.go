package volume

import "fmt"

// failure is an error whose text is all that people read: its class doesn't show.
type failure struct {
	class error
	text  string
}

func (f *failure) Error() string { return f.text }
func (f *failure) Unwrap() error { return f.class }

// Failure makes an error of a class whose text is exactly what it is given: the
// words that the kubelet has for it.
func Failure(class error, format string, args ...any) error { return failf(class, format, args...) }

func failf(class error, format string, args ...any) error {
	return &failure{class, fmt.Sprintf(format, args...)}
}
