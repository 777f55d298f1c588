package volume

import (
	"bytes"
	"encoding/pem"
	"maps"
	"slices"

	certificatesv1 "k8s.io/api/certificates/v1"
	v1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"

	"github.com/reckon-project/reckon/events"
)

// addTrust puts in the trust anchors of the bundle that the source names, or of
// all those of a signer that it selects, each anchor once.
func (m *Manager) addTrust(f files, pod *v1.Pod, s *v1.ClusterTrustBundleProjection, mode *int32) error {
	path, err := cleanPath(s.Path)
	if err != nil {
		return err
	}
	optional := s.Optional != nil && *s.Optional
	var found []*certificatesv1.ClusterTrustBundle
	switch {
	case s.Name != nil:
		for _, b := range m.Objects.TrustBundles() {
			if b.Name == *s.Name {
				found = append(found, b)
			}
		}
		if len(found) == 0 && !optional {
			return failf(events.ErrNotFound, "while getting ClusterTrustBundle: clustertrustbundle %q not found", *s.Name)
		}
	case s.SignerName != nil:
		selector, err := metav1.LabelSelectorAsSelector(s.LabelSelector) // none selects nothing
		if err != nil {
			return failf(events.ErrInvalid, "while parsing label selector: %v", err)
		}
		for _, b := range m.Objects.TrustBundles() {
			if b.Spec.SignerName == *s.SignerName && selector.Matches(labels.Set(b.Labels)) {
				found = append(found, b)
			}
		}
		if len(found) == 0 && !optional {
			return failf(events.ErrNotFound, "combination of signerName and labelSelector matched zero ClusterTrustBundles")
		}
	default:
		return failf(events.ErrInvalid, "ClusterTrustBundle projection requires either name or signerName to be set")
	}
	f.addOwned(path, anchors(found), pod, mode)
	return nil
}

// anchors gives the certificates of bundles as PEM, each once and in an order
// that depends on nothing but them: the same ones are the same file.
func anchors(bundles []*certificatesv1.ClusterTrustBundle) []byte {
	all := map[string]struct{}{}
	for _, b := range bundles {
		for block, rest := pem.Decode([]byte(b.Spec.TrustBundle)); block != nil; block, rest = pem.Decode(rest) {
			all[string(block.Bytes)] = struct{}{}
		}
	}
	var out bytes.Buffer
	for _, der := range slices.Sorted(maps.Keys(all)) {
		out.Write(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: []byte(der)}))
	}
	return out.Bytes()
}
