package proxy

import (
	"fmt"
	"testing"

	"github.com/reckon-project/reckon/agent/network/netnstest"
)

func fill(b *testing.B, ns *netnstest.NS, services int) *Proxy {
	b.Helper()
	p, err := New(Options{Node: "n1", Dir: b.TempDir()})
	if err != nil {
		b.Fatal(err)
	}
	ns.Must(b, func() error { _, err := p.prepare(b.Context()); return err })
	for i := range services {
		name := fmt.Sprintf("s%d", i)
		p.SetService("default", name, service(name, fmt.Sprintf("10.96.%d.%d", i/250, i%250+1)))
		p.SetSlice("default", name+"-1", slice(name, tcp, five(i)...))
	}
	return p
}

func five(i int) []at {
	var out []at
	for e := range 5 {
		at := at{ip: fmt.Sprintf("10.42.%d.%d", (i*5+e)/250, (i*5+e)%250+1), node: "n2"}
		if i < 20 {
			at.node = "n1"
		}
		out = append(out, at)
	}
	return out
}

// BenchmarkAllServices writes 1,000 services of 5 endpoints each.
func BenchmarkAllServices(b *testing.B) {
	ns := netnstest.New(b)
	p := fill(b, ns, 1000)
	for b.Loop() {
		p.applied.all = true
		ns.Must(b, func() error { return p.sync(b.Context()) })
	}
}

// BenchmarkOneService changes the endpoints of one of 1,000 services.
func BenchmarkOneService(b *testing.B) {
	ns := netnstest.New(b)
	p := fill(b, ns, 1000)
	ns.Must(b, func() error { return p.sync(b.Context()) })
	i := 0
	for b.Loop() {
		i++
		p.SetSlice("default", "s500-1", slice("s500", tcp, five(2000+i%100)...))
		ns.Must(b, func() error { return p.sync(b.Context()) })
	}
}
