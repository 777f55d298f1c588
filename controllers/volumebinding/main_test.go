package volumebinding_test

import (
	"flag"
	"log"
	"testing"

	"go.uber.org/goleak"
)

// Random plans are the same in every run; -rapid.seed=0 draws others.
func TestMain(m *testing.M) {
	if err := flag.Set("rapid.seed", "1"); err != nil {
		log.Fatal(err)
	}
	goleak.VerifyTestMain(m)
}
