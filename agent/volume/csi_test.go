package volume

import (
	"encoding/json"
	"reflect"
	"strings"
	"testing"
	"time"

	v1 "k8s.io/api/core/v1"
	storagev1 "k8s.io/api/storage/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	testclock "k8s.io/utils/clock/testing"

	"github.com/reckon-project/reckon/agent/csi"
	"github.com/reckon-project/reckon/events"
)

// storage is a feed with a driver and an attachment.
type storage struct {
	cluster
	driver     *storagev1.CSIDriver
	attachment *storagev1.VolumeAttachment
}

func (s *storage) Driver(string) (*storagev1.CSIDriver, bool) { return s.driver, s.driver != nil }
func (s *storage) Attachment(name string) (*storagev1.VolumeAttachment, bool) {
	return s.attachment, s.attachment != nil && s.attachment.Name == name
}

func TestWhenAVolumeIsAttached(t *testing.T) {
	name := csi.AttachmentName("h", "d", "n1")
	attachment := func(change func(*storagev1.VolumeAttachment)) *storagev1.VolumeAttachment {
		a := &storagev1.VolumeAttachment{ObjectMeta: metav1.ObjectMeta{Name: name}}
		change(a)
		return a
	}
	there := func(a *storagev1.VolumeAttachment) {
		a.Status.Attached, a.Status.AttachmentMetadata = true, map[string]string{"device": "x"}
	}
	for name, c := range map[string]struct {
		s    storage
		want string
	}{
		"not needed":     {storage{driver: &storagev1.CSIDriver{Spec: storagev1.CSIDriverSpec{AttachRequired: ptr(false)}}}, ""},
		"no attachment":  {storage{}, "waiting for external-attacher of d CSI driver to attach volume h"},
		"not yet":        {storage{attachment: attachment(func(*storagev1.VolumeAttachment) {})}, "waiting for external-attacher of d CSI driver to attach volume h"},
		"it failed":      {storage{attachment: attachment(func(a *storagev1.VolumeAttachment) { a.Status.AttachError = &storagev1.VolumeError{Message: "no room"} })}, `AttachVolume.Attach failed for volume "v" : no room`},
		"attached":       {storage{attachment: attachment(there)}, "device x"},
		"about to leave": {storage{attachment: attachment(func(a *storagev1.VolumeAttachment) { there(a); a.DeletionTimestamp = &metav1.Time{} })}, "waiting for external-attacher of d CSI driver to attach volume h"},
	} {
		t.Run(name, func(t *testing.T) {
			m := &Manager{Objects: &c.s, Node: "n1"}
			v := csi.Volume{Name: "v", Driver: "d", Handle: "h"}
			got := ""
			if err := m.attached(&v); err != nil {
				got = err.Error()
			} else if v.PublishContext != nil {
				got = "device " + v.PublishContext["device"]
			}
			if got != c.want {
				t.Errorf("it is %q", got)
			}
		})
	}
}

func TestWhichVolumesADriverHas(t *testing.T) {
	driver := func(modes ...storagev1.VolumeLifecycleMode) *storagev1.CSIDriver {
		return &storagev1.CSIDriver{Spec: storagev1.CSIDriverSpec{VolumeLifecycleModes: modes}}
	}
	for name, c := range map[string]struct {
		info   *storagev1.CSIDriver
		inline bool
		want   string
	}{
		"persistent, unknown driver": {nil, false, ""},
		"inline, unknown driver":     {nil, true, `volume mode "Ephemeral" not supported by driver d (no CSIDriver object)`},
		"persistent":                 {driver("Persistent"), false, ""},
		"inline, but it isn't":       {driver("Persistent"), true, `volume mode "Ephemeral" not supported by driver d (only supports ["Persistent"])`},
		"inline":                     {driver("Persistent", "Ephemeral"), true, ""},
		"persistent, but inline":     {driver("Ephemeral"), false, `volume mode "Persistent" not supported by driver d (only supports ["Ephemeral"])`},
	} {
		got := ""
		if err := lifecycle(c.info, c.info != nil, &csi.Volume{Driver: "d", Ephemeral: c.inline}); err != nil {
			got = err.Error()
		}
		if got != c.want {
			t.Errorf("%s: %q", name, got)
		}
	}
}

func TestWhenTheNodeGivesAVolumeToTheGroup(t *testing.T) {
	rwo, rwx := []v1.PersistentVolumeAccessMode{v1.ReadWriteOnce}, []v1.PersistentVolumeAccessMode{v1.ReadWriteMany}
	for name, c := range map[string]struct {
		policy storagev1.FSGroupPolicy
		fs     string
		read   bool
		modes  []v1.PersistentVolumeAccessMode
		want   bool
	}{
		"a file system of one":   {storagev1.ReadWriteOnceWithFSTypeFSGroupPolicy, "ext4", false, rwo, true},
		"without a type":         {storagev1.ReadWriteOnceWithFSTypeFSGroupPolicy, "", false, rwo, false},
		"of several":             {storagev1.ReadWriteOnceWithFSTypeFSGroupPolicy, "ext4", false, rwx, false},
		"of several, but always": {storagev1.FileFSGroupPolicy, "", false, rwx, true},
		"never":                  {storagev1.NoneFSGroupPolicy, "ext4", false, rwo, false},
		"read-only":              {storagev1.FileFSGroupPolicy, "ext4", true, rwo, false},
	} {
		if got := ownable(c.policy, &csi.Volume{FSType: c.fs, ReadOnly: c.read}, c.modes); got != c.want {
			t.Errorf("%s: %v", name, got)
		}
	}
}

func TestWhatADriverIsToldOfAPod(t *testing.T) {
	s := &storage{driver: &storagev1.CSIDriver{Spec: storagev1.CSIDriverSpec{TokenRequests: []storagev1.TokenRequest{{Audience: "a", ExpirationSeconds: ptr(int64(600))}}}}}
	s.secrets = map[string]*v1.Secret{"k": {Data: map[string][]byte{"user": []byte("me")}}}
	clock := testclock.NewFakeClock(time.Unix(1000, 0))
	m := &Manager{Objects: s, Clock: clock, Tokens: &issuer{clock: clock}}
	secrets, err := m.credentials(&v1.SecretReference{Namespace: "x", Name: "k"}, "NodePublishSecretRef")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := m.credentials(&v1.SecretReference{Namespace: "x", Name: "l"}, "NodeStageSecretRef"); err == nil || err.Error() != `fetching NodeStageSecretRef x/l failed: secret "l" not found` {
		t.Errorf("a secret that isn't there: %v", err)
	}
	const tokens = `{"a":{"token":"a-1","expirationTimestamp":"1970-01-01T00:26:40Z"}}`
	const key = "csi.storage.k8s.io/serviceAccount.tokens"
	for _, inSecrets := range []bool{false, true} {
		s.driver.Spec.ServiceAccountTokenInSecrets = &inSecrets
		v := csi.Volume{Driver: "d", Attributes: map[string]string{"x": "y"}, PublishSecrets: secrets}
		if err := m.addTokens(t.Context(), podOf(v1.VolumeSource{}), &v, s.driver); err != nil {
			t.Fatal(err)
		}
		attributes, secret := map[string]string{"x": "y", key: tokens}, map[string]string{"user": "me"}
		if inSecrets {
			attributes, secret = map[string]string{"x": "y"}, map[string]string{"user": "me", key: tokens}
		}
		if !reflect.DeepEqual(v.Attributes, attributes) || !reflect.DeepEqual(v.PublishSecrets, secret) {
			t.Errorf("in secrets: %v: %v, %v", inSecrets, v.Attributes, v.PublishSecrets)
		}
	}
}

// A claim that grew on this node has its new size, no step left, and none of the conditions of growing.
func TestAClaimThatGrew(t *testing.T) {
	claim := boundClaim("v1")
	one, two := resource.MustParse("1Gi"), resource.MustParse("2Gi")
	claim.Status.Capacity = v1.ResourceList{v1.ResourceStorage: one}
	claim.Status.AllocatedResources = v1.ResourceList{v1.ResourceStorage: two}
	claim.Status.AllocatedResourceStatuses = map[v1.ResourceName]v1.ClaimResourceStatus{v1.ResourceStorage: v1.PersistentVolumeClaimNodeResizePending}
	claim.Status.Conditions = []v1.PersistentVolumeClaimCondition{{Type: v1.PersistentVolumeClaimFileSystemResizePending, Status: v1.ConditionTrue}, {Type: "Kept", Status: v1.ConditionTrue}}
	volume := localVolume("v1", "/x")
	volume.Spec.Capacity = v1.ResourceList{v1.ResourceStorage: two}
	size, wanted := growth(claim, volume)
	if !wanted || !size.Equal(two) {
		t.Fatalf("to %s, %v", size.String(), wanted)
	}
	grown := patched(t, claim, Resized{Claim: claim, Size: size}.Patch())
	if q := grown.Status.Capacity[v1.ResourceStorage]; !q.Equal(two) || len(grown.Status.AllocatedResourceStatuses) != 0 || len(grown.Status.Conditions) != 1 || grown.Status.Conditions[0].Type != "Kept" {
		t.Errorf("it has %+v", grown.Status)
	}
	if _, wanted := growth(grown, volume); wanted {
		t.Error("it is to grow again")
	}
	failed := patched(t, claim, Resized{Claim: claim, Infeasible: true, At: metav1.NewTime(time.Unix(5, 0)), Note: "no room"}.Patch())
	if failed.Status.AllocatedResourceStatuses[v1.ResourceStorage] != v1.PersistentVolumeClaimNodeResizeInfeasible || len(failed.Status.Conditions) != 3 ||
		!strings.Contains(failed.Status.Conditions[2].Message, "no room") {
		t.Errorf("it has %+v", failed.Status)
	}
	if _, wanted := growth(failed, volume); wanted {
		t.Error("what can't be done is tried again")
	}
}

func patched(t *testing.T, claim *v1.PersistentVolumeClaim, status map[string]any) *v1.PersistentVolumeClaim {
	t.Helper()
	data, err := json.Marshal(map[string]any{"status": status})
	if err != nil {
		t.Fatal(err)
	}
	out, err := events.ApplyPatch(claim, data)
	if err != nil {
		t.Fatal(err)
	}
	return out.(*v1.PersistentVolumeClaim)
}
