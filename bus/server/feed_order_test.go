package server_test

import (
	"fmt"
	"testing"

	"github.com/reckon-project/reckon/bus/server"
)

// A node that begins to watch gets what is there in the order of the last changes.
func TestNodeFeedOrder(t *testing.T) {
	s := start(t, server.Options{})
	admin, node := connect(t, s, "component:test"), connect(t, s, "node:n1")
	const n = 50
	for round := range 2 {
		for i := range n {
			subject := fmt.Sprintf("feed.n1.pods.default.p%d", (i*37+round*11)%n)
			if err := admin.Feed().Put(contextFor(t), subject, nil, fmt.Append(nil, round*n+i)); err != nil {
				t.Fatal(err)
			}
		}
	}
	// The hub has the last change once a first watcher has seen it.
	for item, err := range node.Feed().Watch(contextFor(t)) {
		if err != nil {
			t.Fatal(err)
		}
		if string(item.Data) == fmt.Sprint(2*n-1) {
			break
		}
	}
	next := n
	for item, err := range node.Feed().Watch(contextFor(t)) {
		if err != nil {
			t.Fatal(err)
		}
		if string(item.Data) != fmt.Sprint(next) {
			t.Fatalf("%s with %s where %d was due", item.Subject, item.Data, next)
		}
		if next++; next == 2*n {
			break
		}
	}
}
