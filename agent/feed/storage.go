package feed

import (
	"slices"
	"strings"

	certificatesv1 "k8s.io/api/certificates/v1"
	storagev1 "k8s.io/api/storage/v1"
)

// storage is what is known of the cluster's storage beyond claims and volumes.
type storage struct {
	attachments map[name]*storagev1.VolumeAttachment // of this node
	drivers     map[name]*storagev1.CSIDriver
	bundles     map[name]*certificatesv1.ClusterTrustBundle
}

func newStorage() storage {
	return storage{map[name]*storagev1.VolumeAttachment{}, map[name]*storagev1.CSIDriver{}, map[name]*certificatesv1.ClusterTrustBundle{}}
}

// applyStorage takes in an object of these; of any other resource it is told nothing.
func (s *Store) applyStorage(resource string, key name, data []byte) (Change, error) {
	switch resource {
	case "volumeattachments":
		err := keep(s.storage.attachments, key, data)
		return Change{Namespace: s.waitingFor(s.storage.attachments[key])}, err
	case "csidrivers":
		return Change{All: data != nil}, keep(s.storage.drivers, key, data)
	case "clustertrustbundles":
		return Change{All: true}, keep(s.storage.bundles, key, data)
	}
	return Change{}, nil
}

// waitingFor is the namespace of the pods that an attachment matters to.
func (s *Store) waitingFor(a *storagev1.VolumeAttachment) string {
	if a == nil || a.Spec.Source.PersistentVolumeName == nil {
		return ""
	}
	v := s.volumes[*a.Spec.Source.PersistentVolumeName]
	if v == nil || v.Spec.ClaimRef == nil {
		return ""
	}
	return v.Spec.ClaimRef.Namespace
}

// Attachment gives an attachment to this node.
func (s *Store) Attachment(n string) (*storagev1.VolumeAttachment, bool) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	o, ok := s.storage.attachments[name{"", n}]
	return o, ok
}

// Driver gives what the cluster says of a CSI driver.
func (s *Store) Driver(n string) (*storagev1.CSIDriver, bool) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	o, ok := s.storage.drivers[name{"", n}]
	return o, ok
}

// TrustBundles gives all trust bundles, sorted by name.
func (s *Store) TrustBundles() []*certificatesv1.ClusterTrustBundle {
	s.mu.RLock()
	defer s.mu.RUnlock()
	out := make([]*certificatesv1.ClusterTrustBundle, 0, len(s.storage.bundles))
	for _, b := range s.storage.bundles {
		out = append(out, b)
	}
	slices.SortFunc(out, func(a, b *certificatesv1.ClusterTrustBundle) int { return strings.Compare(a.Name, b.Name) })
	return out
}
