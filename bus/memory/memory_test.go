package memory_test

import (
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/reckon-project/reckon/bus"
	"github.com/reckon-project/reckon/bus/bustest"
	"github.com/reckon-project/reckon/bus/memory"
)

// net/http lingers half a second after it has closed a connection.
func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m, goleak.IgnoreAnyFunction("net/http.(*conn).closeWriteAndWait"))
}

func TestConformance(t *testing.T) {
	bustest.Run(t, func(*testing.T) bus.Bus { return memory.New(time.Now) })
}
