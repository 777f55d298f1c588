package projections

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"strconv"
	"syscall"
	"testing"
	"time"

	"github.com/reckon-project/reckon/bus/memory"
	"github.com/reckon-project/reckon/events"
)

// benchPod has, as real ones, a volume of a name that no other pod has.
const benchPod = `{"apiVersion":"v1","kind":"Pod","metadata":{"name":"%[2]s","namespace":"%[1]s","uid":"uid-%[2]s","creationTimestamp":"2026-01-02T03:04:05Z","generateName":"web-7d9c-","labels":{"app":"web","pod-template-hash":"7d9c"},"ownerReferences":[{"apiVersion":"apps/v1","kind":"ReplicaSet","name":"web-7d9c","uid":"rs-%[3]d","controller":true,"blockOwnerDeletion":true}]},` +
	`"spec":{"volumes":[{"name":"kube-api-access-%[4]s","projected":{"sources":[{"serviceAccountToken":{"expirationSeconds":3607,"path":"token"}},{"configMap":{"name":"kube-root-ca.crt","items":[{"key":"ca.crt","path":"ca.crt"}]}},{"downwardAPI":{"items":[{"path":"namespace","fieldRef":{"apiVersion":"v1","fieldPath":"metadata.namespace"}}]}}],"defaultMode":420}}],` +
	`"containers":[{"name":"main","image":"registry.example/app:1.2.3","args":["--listen=:8080"],"ports":[{"name":"http","containerPort":8080,"protocol":"TCP"}],"env":[{"name":"A","value":"1"}],"resources":{"limits":{"memory":"128Mi"},"requests":{"cpu":"100m","memory":"64Mi"}},"volumeMounts":[{"name":"kube-api-access-%[4]s","readOnly":true,"mountPath":"/var/run/secrets/kubernetes.io/serviceaccount"}],"readinessProbe":{"httpGet":{"path":"/","port":"http","scheme":"HTTP"},"timeoutSeconds":1,"periodSeconds":10,"successThreshold":1,"failureThreshold":3},"terminationMessagePath":"/dev/termination-log","terminationMessagePolicy":"File","imagePullPolicy":"IfNotPresent"}],` +
	`"restartPolicy":"Always","terminationGracePeriodSeconds":30,"dnsPolicy":"ClusterFirst","serviceAccountName":"default","securityContext":{},"schedulerName":"default-scheduler","tolerations":[{"key":"node.kubernetes.io/not-ready","operator":"Exists","effect":"NoExecute","tolerationSeconds":300},{"key":"node.kubernetes.io/unreachable","operator":"Exists","effect":"NoExecute","tolerationSeconds":300}],"priority":0,"enableServiceLinks":true,"preemptionPolicy":"PreemptLowerPriority"},"status":{"phase":"Pending","qosClass":"Burstable"}}`

// podLife is the events of n pods' lives as a rollout of many pods mixes them:
// created, scheduled, two facts, and updates of their node's and workload's
// status among them.
func podLife(n int) []*events.Event {
	var out []*events.Event
	at := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	add := func(e *events.Event) {
		e.Sequence, e.ID, e.Source, e.Time = uint64(len(out)+1), "e"+strconv.Itoa(len(out)), "bench", at
		out = append(out, e)
	}
	node := func(i int) string { return fmt.Sprintf("node-%d", i%100) }
	for i := range 100 {
		add(&events.Event{Prefix: "log", Key: events.Key{Resource: "nodes", Name: node(i)}, Type: events.Created, ContentType: events.ContentObject,
			Data: fmt.Appendf(nil, `{"apiVersion":"v1","kind":"Node","metadata":{"name":%q,"uid":"%[1]s"},"status":{"capacity":{"cpu":"8","memory":"32Gi","pods":"110"}}}`, node(i))})
	}
	const wave = 1000
	for begin := 0; begin < n; begin += wave {
		key := func(i int) events.Key {
			return events.Key{Resource: "pods", Namespace: "ns-" + strconv.Itoa(i%10), Name: "web-7d9c-" + strconv.Itoa(i)}
		}
		end := min(begin+wave, n)
		for i := begin; i < end; i++ {
			k := key(i)
			add(&events.Event{Prefix: "log", Key: k, Type: events.Created, ContentType: events.ContentObject, Data: fmt.Appendf(nil, benchPod, k.Namespace, k.Name, i%50, strconv.FormatInt(int64(i)*7919%60466176, 36))})
		}
		for i := begin; i < end; i++ {
			add(&events.Event{Prefix: "log", Key: key(i), Type: events.Scheduled, ContentType: events.ContentPatch,
				Data: fmt.Appendf(nil, `{"spec":{"nodeName":%q},"status":{"conditions":[{"type":"PodScheduled","status":"True","lastTransitionTime":"2026-01-02T03:04:05Z"}]}}`, node(i))})
		}
		for n := range uint64(2) {
			for i := begin; i < end; i++ {
				add(&events.Event{Prefix: "fact", Reporter: node(i), Key: key(i), Type: events.Reported, UID: "uid-" + key(i).Name, Counter: events.Counter{Incarnation: 1, N: n + 1}, ContentType: events.ContentPatch,
					Data: fmt.Appendf(nil, `{"status":{"phase":"Running","hostIP":"10.0.0.1","podIP":"10.1.0.%d","podIPs":[{"ip":"10.1.0.%[1]d"}],"startTime":"2026-01-02T03:04:05Z","conditions":[{"type":"Initialized","status":"True"},{"type":"Ready","status":"True","lastTransitionTime":"2026-01-02T03:04:06Z"},{"type":"ContainersReady","status":"True"}],"containerStatuses":[{"name":"main","state":{"running":{"startedAt":"2026-01-02T03:04:06Z"}},"lastState":{},"ready":true,"restartCount":0,"image":"registry.example/app:1.2.3","imageID":"sha256:0123","containerID":"containerd://%d","started":true}]}}`, i%250, i)})
				if i%20 == 0 {
					add(&events.Event{Prefix: "fact", Reporter: node(i), Key: events.Key{Resource: "nodes", Name: node(i)}, Type: events.Reported, UID: node(i), Counter: events.Counter{Incarnation: 1, N: uint64(len(out))}, ContentType: events.ContentPatch,
						Data: []byte(`{"status":{"conditions":[{"type":"Ready","status":"True","lastHeartbeatTime":"2026-01-02T03:04:06Z"}]}}`)})
				}
			}
		}
	}
	return out
}

// cpu is the processor time that this process used so far: on a shared machine
// it says more than the time that passed.
func cpu(b *testing.B) time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

func reportRate(b *testing.B, events int, since time.Duration) {
	b.ReportMetric(float64(events)/b.Elapsed().Seconds(), "events/s")
	b.ReportMetric(float64(events)/(cpu(b)-since).Seconds(), "events/cpu-s")
}

// BenchmarkProjectionFold folds the lives of 10,000 pods in batches of 256,
// publishing after each.
func BenchmarkProjectionFold(b *testing.B) {
	for _, batch := range []int{1, 16, 256} {
		b.Run(fmt.Sprintf("batch=%d", batch), func(b *testing.B) {
			life := podLife(10_000)
			b.ReportAllocs()
			b.ResetTimer()
			since := cpu(b)
			for range b.N {
				p := New(memory.New(time.Now).Log())
				for from := 0; from < len(life); from += batch {
					p.fold(life[from:min(from+batch, len(life))])
				}
				if p.Snapshot().Voids() > 0 {
					b.Fatal("void events")
				}
			}
			reportRate(b, b.N*len(life), since)
		})
	}
}

// BenchmarkProjectionStore is the fold without events.Fold: what tables,
// indexes and publishing cost.
func BenchmarkProjectionStore(b *testing.B) {
	life := podLife(10_000)
	s := newState()
	versions := make([][2]*events.Object, len(life))
	for i, e := range life {
		key := keyOf(e.Key)
		old := s.lookup(e.Key, key)
		next, err := events.Fold(old, e)
		if err != nil {
			b.Fatal(err)
		}
		s.store(key, old, next, e.Prefix == events.PrefixFact)
		versions[i] = [2]*events.Object{old, next}
	}
	b.ReportAllocs()
	b.ResetTimer()
	since := cpu(b)
	for range b.N {
		s := newState()
		for i, e := range life {
			key := keyOf(e.Key)
			s.lookup(e.Key, key)
			s.store(key, versions[i][0], versions[i][1], e.Prefix == events.PrefixFact)
			if i%256 == 255 {
				s.freeze()
			}
		}
	}
	reportRate(b, b.N*len(life), since)
}

// BenchmarkSnapshotUnderWrites takes snapshots and reads from them while the
// fold goes on.
func BenchmarkSnapshotUnderWrites(b *testing.B) {
	life := podLife(10_000)
	p := New(memory.New(time.Now).Log())
	p.fold(life[:20_000])
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		for i := 20_000; ctx.Err() == nil; i++ {
			e := *life[20_000+i%10_000]
			e.Sequence, e.Counter.N = uint64(i+1), uint64(i)
			p.fold([]*events.Event{&e})
		}
	}()
	b.ReportAllocs()
	b.ResetTimer()
	for i := range b.N {
		if p.Snapshot().Get(life[100+i%1000].Key) == nil {
			b.Fatal("lost")
		}
	}
	b.StopTimer()
	cancel()
	<-done
}

// BenchmarkCheckpoint writes and reads the state of 10,000 running pods.
func BenchmarkCheckpoint(b *testing.B) {
	p := New(memory.New(time.Now).Log())
	life := podLife(10_000)
	p.fold(life)
	s := p.Snapshot()
	blobs := memory.New(time.Now).Blobs()
	ctx := context.Background()
	var raw bytes.Buffer
	if err := s.Encode(&raw); err != nil {
		b.Fatal(err)
	}
	b.Run("encode", func(b *testing.B) {
		b.SetBytes(int64(raw.Len()))
		for range b.N {
			if err := s.Encode(io.Discard); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("write", func(b *testing.B) {
		for range b.N {
			if err := WriteCheckpoint(ctx, s, blobs); err != nil {
				b.Fatal(err)
			}
		}
	})
	if err := WriteCheckpoint(ctx, s, blobs); err != nil {
		b.Fatal(err)
	}
	b.Run("read", func(b *testing.B) {
		for range b.N {
			if _, err := ReadCheckpoint(ctx, s.Position(), blobs); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Logf("%d bytes raw", raw.Len())
}
