package statefulset_test

import (
	"flag"
	"log"
	"testing"

	"go.uber.org/goleak"
)

// Random plans are the same few in every run; -rapid.seed=0 draws others, -rapid.checks more.
func TestMain(m *testing.M) {
	for name, value := range map[string]string{"rapid.seed": "1", "rapid.checks": "40"} {
		if err := flag.Set(name, value); err != nil {
			log.Fatal(err)
		}
	}
	goleak.VerifyTestMain(m)
}
