package feed

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"sync"

	v1 "k8s.io/api/core/v1"

	"github.com/reckon-project/reckon/bus"
	"github.com/reckon-project/reckon/events"
)

// Position orders the feed's messages: by epoch, then by log position.
type Position struct {
	Epoch uint64 `json:"epoch"`
	Log   uint64 `json:"position"`
}

func (p Position) less(q Position) bool {
	if p.Epoch != q.Epoch {
		return p.Epoch < q.Epoch
	}
	return p.Log < q.Log
}

// Change is what one message of the feed meant.
type Change struct {
	Pod      *v1.Pod // a pod that shall run, or end if it has a deletionTimestamp
	Position Position
	Origin   Origin   // of the pod
	Gone     []string // uids of pods that are gone
	// Namespace is set when a config map, secret or claim of it changed.
	Namespace string
	Volume    *v1.PersistentVolume // one that changed
	All       bool                 // something changed that any pod's volumes may show
}

// Origin is the decision that a message of the feed brings: what is reported
// about the object answers it.
type Origin struct {
	Cause       uint64 `json:"cause,omitempty"` // its sequence; 0: not known
	Traceparent string `json:"traceparent,omitempty"`
}

// everyone is in place of the node in subjects that all nodes read.
const everyone = "_"

type name struct{ namespace, name string }

type podEntry struct {
	uid    string
	at     Position
	origin Origin
}

// Store is the state that the feed's messages add up to. It is safe for use by many.
type Store struct {
	mu         sync.RWMutex
	last       map[string]Position // by subject
	configMaps map[name]*v1.ConfigMap
	secrets    map[name]*v1.Secret
	services   map[name]*v1.Service
	claims     map[name]*v1.PersistentVolumeClaim
	volumes    map[string]*v1.PersistentVolume
	storage    storage
	pods       map[name]podEntry
	extra      map[string]Known // uids that run here and that the feed hasn't named yet
	manifest   Manifest         // the newest one
}

// Known is what a node knew of a pod from an earlier start.
type Known struct {
	At          Position // that the feed gave it at
	Traceparent string
}

// NewStore makes an empty store. running are the uids of pods that the node
// had already.
func NewStore(running map[string]Known) *Store {
	s := &Store{last: map[string]Position{}, configMaps: map[name]*v1.ConfigMap{}, secrets: map[name]*v1.Secret{},
		services: map[name]*v1.Service{}, claims: map[name]*v1.PersistentVolumeClaim{}, volumes: map[string]*v1.PersistentVolume{}, storage: newStorage(), pods: map[name]podEntry{}, extra: map[string]Known{}}
	maps.Copy(s.extra, running)
	return s
}

// Apply takes in one message.
func (s *Store) Apply(item bus.FeedItem) (Change, error) {
	at, err := position(item.Header)
	if err != nil {
		return Change{}, fmt.Errorf("feed message on %s: %w", item.Subject, err)
	}
	tokens := strings.Split(item.Subject, ".")
	if len(tokens) != 5 {
		return Change{}, fmt.Errorf("%w: feed subject %s", events.ErrInvalid, item.Subject)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if last, ok := s.last[item.Subject]; ok && at.less(last) {
		return Change{}, nil
	}
	s.last[item.Subject] = at
	key, err := decodeName(tokens[3], tokens[4])
	if err != nil {
		return Change{}, err
	}
	switch tokens[2] {
	case "pods":
		from, err := origin(item.Header)
		if err != nil {
			return Change{}, fmt.Errorf("feed message on %s: %w", item.Subject, err)
		}
		return s.applyPod(key, at, from, item.Data)
	case "manifest":
		if tokens[1] == everyone {
			return Change{}, nil // it names what all nodes have, and so no pods
		}
		return s.applyManifest(item.Data)
	case "configmaps":
		return Change{Namespace: key.namespace}, keep(s.configMaps, key, item.Data)
	case "secrets":
		return Change{Namespace: key.namespace}, keep(s.secrets, key, item.Data)
	case "persistentvolumeclaims":
		return s.applyClaim(key, item.Data)
	case "persistentvolumes":
		return s.applyVolume(key, item.Data)
	case "services":
		return Change{}, keep(s.services, key, item.Data)
	}
	return s.applyStorage(tokens[2], key, item.Data)
}

func (s *Store) applyPod(key name, at Position, from Origin, data []byte) (Change, error) {
	old, known := s.pods[key]
	if data == nil {
		delete(s.pods, key)
		if !known {
			return Change{}, nil
		}
		return Change{Gone: []string{old.uid}}, nil
	}
	pod := &v1.Pod{}
	if err := json.Unmarshal(data, pod); err != nil {
		return Change{}, fmt.Errorf("%w: feed's pod %s/%s: %v", events.ErrInvalid, key.namespace, key.name, err)
	}
	// The values that a watch begins with come in any order: one that an
	// applied manifest had left out already is what a replaced leader left.
	if m := s.manifest; at.less(Position{m.Epoch, m.Position}) && !slices.Contains(m.Pods, string(pod.UID)) {
		return Change{}, nil
	}
	if from.Traceparent == "" { // a new leader hasn't seen it
		if known && old.uid == string(pod.UID) {
			from.Traceparent = old.origin.Traceparent
		} else {
			from.Traceparent = s.extra[string(pod.UID)].Traceparent
		}
	}
	change := Change{Pod: pod, Position: at, Origin: from}
	if known && old.uid != string(pod.UID) {
		change.Gone = []string{old.uid} // its name is used again
	}
	s.pods[key] = podEntry{string(pod.UID), at, from}
	delete(s.extra, string(pod.UID))
	return change, nil
}

// Manifest is what the feed says when it was complete for a node.
type Manifest struct {
	Position uint64   `json:"position"`
	Epoch    uint64   `json:"epoch"`
	Pods     []string `json:"pods"`
}

func (s *Store) applyManifest(data []byte) (Change, error) {
	if data == nil {
		return Change{}, nil
	}
	var m Manifest
	if err := json.Unmarshal(data, &m); err != nil {
		return Change{}, fmt.Errorf("%w: feed's manifest: %v", events.ErrInvalid, err)
	}
	at := Position{m.Epoch, m.Position}
	if !at.less(Position{s.manifest.Epoch, s.manifest.Position}) {
		s.manifest = m
	}
	var change Change
	for key, entry := range s.pods {
		if entry.at.less(at) && !slices.Contains(m.Pods, entry.uid) {
			delete(s.pods, key)
			change.Gone = append(change.Gone, entry.uid)
		}
	}
	for uid, seen := range s.extra {
		if seen.At.less(at) && !slices.Contains(m.Pods, uid) {
			delete(s.extra, uid)
			change.Gone = append(change.Gone, uid)
		}
	}
	return change, nil
}

func keep[T any](m map[name]*T, key name, data []byte) error {
	if data == nil {
		delete(m, key)
		return nil
	}
	value := new(T)
	if err := json.Unmarshal(data, value); err != nil {
		return fmt.Errorf("%w: feed's object %s/%s: %v", events.ErrInvalid, key.namespace, key.name, err)
	}
	m[key] = value
	return nil
}

func position(h events.Header) (Position, error) {
	epoch, err := number(h, "reckon-epoch")
	if err != nil {
		return Position{}, err
	}
	log, err := number(h, "reckon-position")
	return Position{epoch, log}, err
}

func origin(h events.Header) (Origin, error) {
	cause, err := number(h, "reckon-cause")
	out := Origin{Cause: cause}
	if v := h["reckon-traceparent"]; len(v) > 0 {
		out.Traceparent = v[0]
	}
	return out, err
}

func number(h events.Header, key string) (uint64, error) {
	v := h[key]
	if len(v) == 0 {
		return 0, nil
	}
	n, err := strconv.ParseUint(v[0], 10, 64)
	if err != nil {
		return 0, fmt.Errorf("%w: %s: %v", events.ErrInvalid, key, err)
	}
	return n, nil
}

func decodeName(namespace, n string) (name, error) {
	ns, err := events.DecodeToken(namespace)
	if err != nil {
		return name{}, err
	}
	if ns == "_" {
		ns = ""
	}
	n, err = events.DecodeToken(n)
	return name{ns, n}, err
}

// ConfigMap gives a config map of the feed.
func (s *Store) ConfigMap(namespace, n string) (*v1.ConfigMap, bool) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	o, ok := s.configMaps[name{namespace, n}]
	return o, ok
}

// Secret gives a secret of the feed.
func (s *Store) Secret(namespace, n string) (*v1.Secret, bool) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	o, ok := s.secrets[name{namespace, n}]
	return o, ok
}

// Services gives a namespace's services, sorted by name.
func (s *Store) Services(namespace string) []*v1.Service {
	s.mu.RLock()
	defer s.mu.RUnlock()
	var out []*v1.Service
	for key, o := range s.services {
		if key.namespace == namespace {
			out = append(out, o)
		}
	}
	slices.SortFunc(out, func(a, b *v1.Service) int { return strings.Compare(a.Name, b.Name) })
	return out
}
