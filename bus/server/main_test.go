package server_test

import (
	"os"
	"testing"

	"go.uber.org/goleak"
)

// net/http lingers half a second after it has closed a connection.
func TestMain(m *testing.M) {
	if dir := os.Getenv(crashDir); dir != "" {
		appendUntilKilled(dir)
		return
	}
	if options := os.Getenv(memberOptions); options != "" {
		serveUntilKilled(options)
	}
	goleak.VerifyTestMain(m, goleak.IgnoreAnyFunction("net/http.(*conn).closeWriteAndWait"),
		// Of an upload to the object store that ended before it began to run: it never ends.
		goleak.IgnoreAnyFunction("github.com/nats-io/nats.go/jetstream.(*jetStream).resetPendingAcksOnReconnect"))
}
