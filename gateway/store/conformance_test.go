package store_test

import (
	"context"
	"strings"
	"testing"

	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apiserver/pkg/apis/example"
	"k8s.io/apiserver/pkg/features"
	"k8s.io/apiserver/pkg/storage"
	storagetesting "k8s.io/apiserver/pkg/storage/testing"
	utilfeature "k8s.io/apiserver/pkg/util/feature"
	featuregatetesting "k8s.io/component-base/featuregate/testing"
)

// TestConformance runs upstream's suite of storage.Interface against the store,
// on every bus, on LOG and on VOLATILE.
func TestConformance(t *testing.T) {
	for _, on := range setups {
		t.Run(on.name, func(t *testing.T) {
			for _, c := range conformance {
				t.Run(c.name, func(t *testing.T) {
					if c.volatileOnly && !on.volatile {
						return // a log that forgets nothing keeps no time to live
					}
					if c.codecOnly && on.direct {
						return // the codec decodes nothing there
					}
					c.run(t, newFixture(t, on, c.sealed))
				})
			}
		})
	}
}

type conformanceCase struct {
	name         string
	volatileOnly bool
	codecOnly    bool
	sealed       bool // the case needs a transformer
	run          func(t *testing.T, f *fixture)
}

// plain makes a case of a suite function that needs the store only.
func plain(name string, run func(context.Context, *testing.T, storage.Interface)) conformanceCase {
	return conformanceCase{name: name, run: func(t *testing.T, f *fixture) { run(t.Context(), t, f.store) }}
}

var conformance = []conformanceCase{
	{name: "Create", run: func(t *testing.T, f *fixture) {
		storagetesting.RunTestCreate(t.Context(), t, f.store, f.checkStored)
	}},
	{name: "CreateWithTTL", volatileOnly: true, run: func(t *testing.T, f *fixture) {
		storagetesting.RunTestCreateWithTTL(t.Context(), t, f.store)
	}},
	plain("CreateWithKeyExist", storagetesting.RunTestCreateWithKeyExist),
	plain("Get", storagetesting.RunTestGet),
	plain("UnconditionalDelete", storagetesting.RunTestUnconditionalDelete),
	plain("ConditionalDelete", storagetesting.RunTestConditionalDelete),
	plain("DeleteWithSuggestion", storagetesting.RunTestDeleteWithSuggestion),
	plain("DeleteWithSuggestionAndConflict", storagetesting.RunTestDeleteWithSuggestionAndConflict),
	plain("DeleteWithConflict", storagetesting.RunTestDeleteWithConflict),
	plain("DeleteWithSuggestionOfDeletedObject", storagetesting.RunTestDeleteWithSuggestionOfDeletedObject),
	plain("ValidateDeletionWithSuggestion", storagetesting.RunTestValidateDeletionWithSuggestion),
	plain("ValidateDeletionWithOnlySuggestionValid", storagetesting.RunTestValidateDeletionWithOnlySuggestionValid),
	plain("PreconditionalDeleteWithSuggestion", storagetesting.RunTestPreconditionalDeleteWithSuggestion),
	plain("PreconditionalDeleteWithOnlySuggestionPass", storagetesting.RunTestPreconditionalDeleteWithOnlySuggestionPass),
	{name: "DeleteWithConflictAndMissingExpectedTransformOrDecodeError", codecOnly: true, run: func(t *testing.T, f *fixture) {
		allowUnsafeDeletion(t)
		storagetesting.RunTestDeleteWithConflictAndMissingExpectedTransformOrDecodeError(t.Context(), t, f.store, f.codec.setFailing)
	}},
	{name: "DeleteExpectedTransformError", sealed: true, run: func(t *testing.T, f *fixture) {
		allowUnsafeDeletion(t)
		storagetesting.RunTestDeleteExpectedTransformOrDecodeError(t.Context(), t, f.store, f.sealer.setFailing)
	}},
	{name: "DeleteExpectedDecodeError", codecOnly: true, run: func(t *testing.T, f *fixture) {
		allowUnsafeDeletion(t)
		storagetesting.RunTestDeleteExpectedTransformOrDecodeError(t.Context(), t, f.store, f.codec.setFailing)
	}},
	{name: "DeleteWithSuggestionAndMissingExpectedTransformOrDecodeError", run: func(t *testing.T, f *fixture) {
		allowUnsafeDeletion(t)
		storagetesting.RunTestDeleteWithSuggestionAndMissingExpectedTransformOrDecodeError(t.Context(), t, f.store)
	}},
	{name: "List", run: func(t *testing.T, f *fixture) {
		storagetesting.RunTestList(t.Context(), t, f.store, f.compact, false, nil)
	}},
	{name: "ConsistentList", run: func(t *testing.T, f *fixture) {
		storagetesting.RunTestConsistentList(t.Context(), t, f.store, f.increaseRV, false, true, false)
	}},
	{name: "GetListNonRecursive", run: func(t *testing.T, f *fixture) {
		storagetesting.RunTestGetListNonRecursive(t.Context(), t, f.increaseRV, f.store)
	}},
	plain("GetListRecursivePrefix", storagetesting.RunTestGetListRecursivePrefix),
	{name: "GetListWithErrorAggregation", sealed: true, run: func(t *testing.T, f *fixture) {
		allowUnsafeDeletion(t)
		storagetesting.RunTestGetListWithErrorAggregation(t.Context(), t, f.transformed(), errCorrupt)
	}},
	{name: "GetListWithoutErrorAggregation", sealed: true, run: func(t *testing.T, f *fixture) {
		setUnsafeDeletion(t, false)
		storagetesting.RunTestGetListWithoutErrorAggregation(t.Context(), t, f.transformed(), errCorrupt)
	}},
	{name: "ListContinuation", run: func(t *testing.T, f *fixture) {
		storagetesting.RunTestListContinuation(t.Context(), t, f.store, nil)
	}},
	{name: "ListPaginationRareObject", run: func(t *testing.T, f *fixture) {
		storagetesting.RunTestListPaginationRareObject(t.Context(), t, f.store, nil)
	}},
	{name: "ListContinuationWithFilter", run: func(t *testing.T, f *fixture) {
		storagetesting.RunTestListContinuationWithFilter(t.Context(), t, f.store, nil)
	}},
	{name: "ListInconsistentContinuation", run: func(t *testing.T, f *fixture) {
		storagetesting.RunTestListInconsistentContinuation(t.Context(), t, named{f.store}, f.compact)
	}},
	{name: "ListResourceVersionMatch", sealed: true, run: func(t *testing.T, f *fixture) {
		storagetesting.RunTestListResourceVersionMatch(t.Context(), t, f.transformed())
	}},
	{name: "GuaranteedUpdate", sealed: true, run: func(t *testing.T, f *fixture) {
		storagetesting.RunTestGuaranteedUpdate(t.Context(), t, namedTransformed{named{f.store}, f.transformed()}, f.checkStored)
	}},
	{name: "GuaranteedUpdateWithTTL", volatileOnly: true, run: func(t *testing.T, f *fixture) {
		storagetesting.RunTestGuaranteedUpdateWithTTL(t.Context(), t, f.store)
	}},
	{name: "GuaranteedUpdateChecksStoredData", sealed: true, run: func(t *testing.T, f *fixture) {
		storagetesting.RunTestGuaranteedUpdateChecksStoredData(t.Context(), t, f.transformed())
	}},
	{name: "GuaranteedUpdateWithConflict", run: func(t *testing.T, f *fixture) {
		storagetesting.RunTestGuaranteedUpdateWithConflict(t.Context(), t, relabelled{named{f.store}})
	}},
	plain("GuaranteedUpdateWithSuggestionAndConflict", storagetesting.RunTestGuaranteedUpdateWithSuggestionAndConflict),
	{name: "TransformationFailure", sealed: true, run: func(t *testing.T, f *fixture) {
		storagetesting.RunTestTransformationFailure(t.Context(), t, f.transformed())
	}},
	{name: "Stats", run: func(t *testing.T, f *fixture) {
		storagetesting.RunTestStats(t.Context(), t, f.store, f.codec, identity{}, false)
	}},
	{name: "StatsWithSizes", run: func(t *testing.T, f *fixture) {
		err := f.store.EnableResourceSizeEstimation(func(context.Context) ([]string, error) { return nil, nil })
		if err != nil {
			t.Fatal(err)
		}
		storagetesting.RunTestStats(t.Context(), t, f.store, trimmed{f.codec}, identity{}, true)
	}},
	plain("ListPaging", storagetesting.RunTestListPaging),
	plain("NamespaceScopedList", storagetesting.RunTestNamespaceScopedList),
	{name: "CompactRevision", run: func(t *testing.T, f *fixture) {
		storagetesting.RunTestCompactRevision(t.Context(), t, f.store, f.increaseRV, f.compact)
	}},
	{name: "KeySchema", run: func(t *testing.T, f *fixture) {
		storagetesting.RunTestKeySchema(t.Context(), t, named{f.store})
	}},
	plain("Watch", storagetesting.RunTestWatch),
	{name: "WatchFromZero", run: func(t *testing.T, f *fixture) {
		storagetesting.RunTestWatchFromZero(t.Context(), t, f.store, f.compact)
	}},
	plain("DeleteTriggerWatch", storagetesting.RunTestDeleteTriggerWatch),
	plain("WatchFromNonZero", storagetesting.RunTestWatchFromNonZero),
	plain("DelayedWatchDelivery", storagetesting.RunTestDelayedWatchDelivery),
	{name: "WatchError", sealed: true, run: func(t *testing.T, f *fixture) {
		storagetesting.RunTestWatchError(t.Context(), t, f.transformed())
	}},
	{name: "WatchWithUnsafeDelete", sealed: true, run: func(t *testing.T, f *fixture) {
		allowUnsafeDeletion(t)
		storagetesting.RunTestWatchWithUnsafeDelete(t.Context(), t, f.transformed(), errCorrupt)
	}},
	plain("WatchContextCancel", storagetesting.RunTestWatchContextCancel),
	plain("WatcherTimeout", storagetesting.RunTestWatcherTimeout),
	plain("WatchDeleteEventObjectHaveLatestRV", storagetesting.RunTestWatchDeleteEventObjectHaveLatestRV),
	plain("WatchInitializationSignal", storagetesting.RunTestWatchInitializationSignal),
	plain("ClusterScopedWatch", storagetesting.RunTestClusterScopedWatch),
	plain("NamespaceScopedWatch", storagetesting.RunTestNamespaceScopedWatch),
	{name: "WatchDispatchBookmarkEvents", run: func(t *testing.T, f *fixture) {
		storagetesting.RunTestWatchDispatchBookmarkEvents(t.Context(), t, f.store, true)
	}},
	plain("OptionalWatchBookmarksWithCorrectResourceVersion", storagetesting.RunTestOptionalWatchBookmarksWithCorrectResourceVersion),
	plain("SendInitialEventsBackwardCompatibility", storagetesting.RunSendInitialEventsBackwardCompatibility),
	plain("WatchSemantics", storagetesting.RunWatchSemantics),
	plain("WatchSemanticInitialEventsExtended", storagetesting.RunWatchSemanticInitialEventsExtended),
	plain("WatchListMatchSingle", storagetesting.RunWatchListMatchSingle),
	{name: "WatchErrorIsBlockingFurtherEvents", sealed: true, run: func(t *testing.T, f *fixture) {
		storagetesting.RunWatchErrorIsBlockingFurtherEvents(t.Context(), t, f.transformed())
	}},
}

func allowUnsafeDeletion(t *testing.T) { setUnsafeDeletion(t, true) }

func setUnsafeDeletion(t *testing.T, allowed bool) {
	featuregatetesting.SetFeatureGateDuringTest(t, utilfeature.DefaultFeatureGate, features.AllowUnsafeMalformedObjectDeletion, allowed)
}

// named gives objects the name in their key, as the log requires it, and a
// name to the key that has none: KeySchema uses both.
type named struct{ storage.Interface }

func (n named) key(key string) string {
	if key == "/pods/" {
		return "/pods/unnamed"
	}
	return key
}

// name gives a pod the name and namespace that its key says.
func (n named) name(key string, obj runtime.Object) runtime.Object {
	pod := obj.DeepCopyObject().(*example.Pod)
	parts := strings.Split(strings.TrimPrefix(n.key(key), "/pods/"), "/")
	pod.Name, pod.Namespace = parts[len(parts)-1], ""
	if len(parts) == 2 {
		pod.Namespace = parts[0]
	}
	return pod
}

func (n named) Create(ctx context.Context, key string, obj, out runtime.Object, ttl uint64) error {
	pod := n.name(key, obj)
	pod.(*example.Pod).ResourceVersion = ""
	return n.Interface.Create(ctx, n.key(key), pod, out, ttl)
}

func (n named) Get(ctx context.Context, key string, opts storage.GetOptions, out runtime.Object) error {
	return n.Interface.Get(ctx, n.key(key), opts, out)
}

func (n named) GuaranteedUpdate(ctx context.Context, key string, destination runtime.Object, ignoreNotFound bool,
	preconditions *storage.Preconditions, update storage.UpdateFunc, cached runtime.Object) error {
	keepName := func(input runtime.Object, meta storage.ResponseMeta) (runtime.Object, *uint64, error) {
		out, ttl, err := update(input, meta)
		if err == nil {
			out = n.name(key, out)
		}
		return out, ttl, err
	}
	return n.Interface.GuaranteedUpdate(ctx, n.key(key), destination, ignoreNotFound, preconditions, keepName, cached)
}

func (n named) Delete(ctx context.Context, key string, out runtime.Object, preconditions *storage.Preconditions,
	validate storage.ValidateObjectFunc, cached runtime.Object, opts storage.DeleteOptions) error {
	return n.Interface.Delete(ctx, n.key(key), out, preconditions, validate, cached, opts)
}

// namedTransformed is named, and can change its transformer.
type namedTransformed struct {
	named
	transformed *transformedStore
}

func (n namedTransformed) UpdatePrefixTransformer(modify storagetesting.PrefixTransformerModifier) func() {
	return n.transformed.UpdatePrefixTransformer(modify)
}

// relabelled turns an update of the name, which the log doesn't allow, into one
// of a label: GuaranteedUpdateWithConflict tells its two updates apart by name.
type relabelled struct{ named }

func (r relabelled) GuaranteedUpdate(ctx context.Context, key string, destination runtime.Object, ignoreNotFound bool,
	preconditions *storage.Preconditions, update storage.UpdateFunc, cached runtime.Object) error {
	label := func(input runtime.Object, meta storage.ResponseMeta) (runtime.Object, *uint64, error) {
		out, ttl, err := update(input, meta)
		if err == nil {
			pod := out.(*example.Pod)
			pod.Labels = map[string]string{"name": pod.Name}
		}
		return out, ttl, err
	}
	return r.named.GuaranteedUpdate(ctx, key, destination, ignoreNotFound, preconditions, label, cached)
}
