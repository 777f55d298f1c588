package sealed

import (
	"flag"
	"log"
	"os"
	"testing"
)

// Random plans are the same in every run; -rapid.seed=0 draws others.
func TestMain(m *testing.M) {
	if err := flag.Set("rapid.seed", "1"); err != nil {
		log.Fatal(err)
	}
	os.Exit(m.Run())
}
