package events_test

import (
	"encoding/json"
	"fmt"
	"syscall"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/runtime"
	kjson "sigs.k8s.io/json"

	"github.com/reckon-project/reckon/events"
)

// A pod as the gateway stores it: 2.3 kB with defaults, tolerations, the token
// volume and managedFields.
const podJSON = `{"kind":"Pod","apiVersion":"v1","metadata":{"name":"web-6d4cf56db6-x7k2p","generateName":"web-6d4cf56db6-","namespace":"default","uid":"2b1f6c3e-8a4d-4a55-9c1e-0f9a4f6f2d11","creationTimestamp":"2026-11-21T12:00:00Z","labels":{"app":"web","pod-template-hash":"6d4cf56db6","tier":"frontend"},"annotations":{"example.com/team":"shop"},"ownerReferences":[{"apiVersion":"apps/v1","kind":"ReplicaSet","name":"web-6d4cf56db6","uid":"a3c1b9d2-0d0e-4b6b-8d3f-5d2d9b0c7e21","controller":true,"blockOwnerDeletion":true}],"managedFields":[{"manager":"replicaset-controller","operation":"Update","apiVersion":"v1","time":"2026-11-21T12:00:00Z","fieldsType":"FieldsV1","fieldsV1":{"f:metadata":{"f:generateName":{},"f:labels":{".":{},"f:app":{},"f:pod-template-hash":{}},"f:ownerReferences":{".":{},"k:{\"uid\":\"a3c1b9d2-0d0e-4b6b-8d3f-5d2d9b0c7e21\"}":{}}},"f:spec":{"f:containers":{"k:{\"name\":\"web\"}":{".":{},"f:image":{},"f:name":{}}},"f:dnsPolicy":{}}}}]},"spec":{"volumes":[{"name":"kube-api-access-q8x5z","projected":{"sources":[{"serviceAccountToken":{"expirationSeconds":3607,"path":"token"}},{"configMap":{"name":"kube-root-ca.crt","items":[{"key":"ca.crt","path":"ca.crt"}]}},{"downwardAPI":{"items":[{"path":"namespace","fieldRef":{"apiVersion":"v1","fieldPath":"metadata.namespace"}}]}}],"defaultMode":420}}],"containers":[{"name":"web","image":"registry.example.com/shop/web:1.4.2","ports":[{"name":"http","containerPort":8080,"protocol":"TCP"}],"env":[{"name":"MODE","value":"production"}],"resources":{"limits":{"cpu":"500m","memory":"256Mi"},"requests":{"cpu":"100m","memory":"128Mi"}},"volumeMounts":[{"name":"kube-api-access-q8x5z","readOnly":true,"mountPath":"/var/run/secrets/kubernetes.io/serviceaccount"}],"readinessProbe":{"httpGet":{"path":"/healthz","port":"http","scheme":"HTTP"},"timeoutSeconds":1,"periodSeconds":10,"successThreshold":1,"failureThreshold":3},"terminationMessagePath":"/dev/termination-log","terminationMessagePolicy":"File","imagePullPolicy":"IfNotPresent"}],"restartPolicy":"Always","terminationGracePeriodSeconds":30,"dnsPolicy":"ClusterFirst","serviceAccountName":"default","serviceAccount":"default","securityContext":{},"schedulerName":"default-scheduler","tolerations":[{"key":"node.kubernetes.io/not-ready","operator":"Exists","effect":"NoExecute","tolerationSeconds":300},{"key":"node.kubernetes.io/unreachable","operator":"Exists","effect":"NoExecute","tolerationSeconds":300}],"priority":0,"enableServiceLinks":true,"preemptionPolicy":"PreemptLowerPriority"},"status":{"phase":"Pending","qosClass":"Burstable"}}`

const (
	podName       = "web-6d4cf56db6-x7k2p"
	podUID        = "2b1f6c3e-8a4d-4a55-9c1e-0f9a4f6f2d11"
	scheduledJSON = `{"spec":{"nodeName":"n1"},"status":{"conditions":[{"type":"PodScheduled","status":"True","lastTransitionTime":"2026-11-21T12:00:01Z"}]}}`
	creatingJSON  = `{"status":{"phase":"Pending","hostIP":"10.0.0.1","hostIPs":[{"ip":"10.0.0.1"}],"startTime":"2026-11-21T12:00:01Z","containerStatuses":[{"name":"web","state":{"waiting":{"reason":"ContainerCreating"}},"lastState":{},"ready":false,"restartCount":0,"image":"registry.example.com/shop/web:1.4.2","imageID":"","started":false}]}}`
	runningJSON   = `{"status":{"phase":"Running","podIP":"10.1.0.7","podIPs":[{"ip":"10.1.0.7"}],"conditions":[{"type":"Ready","status":"True","lastTransitionTime":"2026-11-21T12:00:02Z"},{"type":"ContainersReady","status":"True","lastTransitionTime":"2026-11-21T12:00:02Z"}],"containerStatuses":[{"name":"web","state":{"running":{"startedAt":"2026-11-21T12:00:02Z"}},"lastState":{},"ready":true,"restartCount":0,"image":"registry.example.com/shop/web:1.4.2","imageID":"sha256:0f9a4f6f2d11","containerID":"containerd://2b1f6c3e8a4d","started":true}]}}`
	smallJSON     = `{"status":{"phase":"Running"}}`
)

func decodePod(tb testing.TB) runtime.Object {
	tb.Helper()
	obj, err := events.DecodeObject([]byte(podJSON))
	if err != nil {
		tb.Fatal(err)
	}
	return obj
}

func benchPatch(b *testing.B, patch string) {
	pod := decodePod(b)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := events.ApplyPatch(pod, []byte(patch)); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkFoldPatchSmall(b *testing.B)     { benchPatch(b, smallJSON) }
func BenchmarkFoldPatchScheduled(b *testing.B) { benchPatch(b, scheduledJSON) }
func BenchmarkFoldPatchRunning(b *testing.B)   { benchPatch(b, runningJSON) }

func BenchmarkFoldDecodePod(b *testing.B) {
	b.SetBytes(int64(len(podJSON)))
	b.ReportAllocs()
	for b.Loop() {
		decodePod(b)
	}
}

// For comparison: what Kubernetes' own decoder and encoding/json take.
func BenchmarkFoldDecodePodReference(b *testing.B) {
	for name, unmarshal := range map[string]func([]byte, any) error{
		"encoding-json": json.Unmarshal, "sigs-json": kjson.UnmarshalCaseSensitivePreserveInts,
	} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if err := unmarshal([]byte(podJSON), &corev1.Pod{}); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkEncodePod(b *testing.B) {
	pod := decodePod(b)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := events.EncodeObject(pod); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkDiffStatus compares versions that share what didn't change, as
// controllers see them; BenchmarkDiffCopy compares with a deep copy, as the
// gateway does.
func BenchmarkDiffStatus(b *testing.B) {
	pod := decodePod(b)
	next, err := events.ApplyPatch(pod, []byte(runningJSON))
	if err != nil {
		b.Fatal(err)
	}
	benchDiff(b, pod, next)
}

func BenchmarkDiffCopy(b *testing.B) {
	pod := decodePod(b)
	next := pod.DeepCopyObject().(*corev1.Pod)
	next.Labels["tier"] = "backend"
	benchDiff(b, pod, next)
}

func benchDiff(b *testing.B, old, next runtime.Object) {
	b.ReportAllocs()
	for b.Loop() {
		if _, _, err := events.Diff(old, next); err != nil {
			b.Fatal(err)
		}
	}
}

// podLife is five events of one pod: created, scheduled, two reports, deleted.
func podLife() []*events.Event {
	key := events.Key{Resource: "pods", Namespace: "default", Name: podName}
	at := time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC)
	fact := func(n uint64, patch string) *events.Event {
		return &events.Event{Prefix: events.PrefixFact, Reporter: "n1", Key: key, Type: events.Reported, Time: at, UID: podUID,
			Counter: events.Counter{Incarnation: 1, N: n}, ContentType: events.ContentPatch, Data: []byte(patch)}
	}
	return []*events.Event{
		{Prefix: events.PrefixDecision, Key: key, Type: events.Created, Time: at, ContentType: events.ContentObject, Data: []byte(podJSON)},
		{Prefix: events.PrefixDecision, Key: key, Type: events.Scheduled, Time: at, ContentType: events.ContentPatch, Data: []byte(scheduledJSON)},
		fact(1, creatingJSON), fact(2, runningJSON),
		{Prefix: events.PrefixDecision, Key: key, Type: events.Deleted, Time: at},
	}
}

// BenchmarkFoldMix folds pods' lives: a fifth of the events are whole pods. With
// "parse" the message is parsed too, as a projection does it.
func BenchmarkFoldMix(b *testing.B) {
	b.Run("fold", func(b *testing.B) { benchMix(b, false) })
	b.Run("parse", func(b *testing.B) { benchMix(b, true) })
}

func benchMix(b *testing.B, parse bool) {
	life := podLife()
	subjects, headers := make([]string, len(life)), make([]events.Header, len(life))
	for i, e := range life {
		e.ID, e.Source, e.Actor = fmt.Sprintf("01J%d", i), "gateway", "system:admin"
		subjects[i], headers[i] = e.Subject(), e.Header()
	}
	b.ReportAllocs()
	var n int
	began := cpuTime(b)
	for b.Loop() {
		var o *events.Object
		for i, e := range life {
			var err error
			if parse {
				if e, err = events.Parse(subjects[i], headers[i], e.Data); err != nil {
					b.Fatal(err)
				}
			}
			e.Sequence = uint64(n + 1)
			if o, err = events.Fold(o, e); err != nil {
				b.Fatal(err)
			}
			n++
		}
	}
	b.ReportMetric(float64(n)/b.Elapsed().Seconds(), "events/s")
	b.ReportMetric(float64(n)/(cpuTime(b)-began).Seconds(), "events/cpu-s")
}

// cpuTime is what the process used: garbage collection counts, other processes
// on the same cores don't.
func cpuTime(b *testing.B) time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// BenchmarkParse makes the event of a message.
func BenchmarkParse(b *testing.B) {
	e := podLife()[3]
	e.ID, e.Source, e.Actor, e.Reason = "01J3", "agent/n1", "system:node:n1", "ContainerStarted"
	subject, header := e.Subject(), e.Header()
	b.ReportAllocs()
	for b.Loop() {
		if _, err := events.Parse(subject, header, e.Data); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkClassify says which event an update is: a label changed in a deep
// copy, as the gateway sees it, and a report of status that shares the rest.
func BenchmarkClassify(b *testing.B) {
	pod := decodePod(b)
	next := pod.DeepCopyObject().(*corev1.Pod)
	next.Labels["tier"] = "backend"
	status, err := events.ApplyPatch(pod, []byte(runningJSON))
	if err != nil {
		b.Fatal(err)
	}
	for name, next := range map[string]runtime.Object{"label": next, "status": status} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				events.Classify(pod, next, "update", "")
			}
		})
	}
}

func BenchmarkDigest(b *testing.B) {
	for name, e := range map[string]*events.Event{"created": podLife()[0], "reported": podLife()[3]} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			var c events.Chain
			for b.Loop() {
				c = c.Next(e.Digest())
			}
		})
	}
}
