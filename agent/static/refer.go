package static

import v1 "k8s.io/api/core/v1"

// refersTo names the objects of the cluster that a pod needs; "": none.
func refersTo(spec *v1.PodSpec) string {
	if spec.ServiceAccountName != "" {
		return "serviceaccounts"
	}
	if len(spec.ImagePullSecrets) > 0 {
		return "secrets"
	}
	if len(spec.ResourceClaims) > 0 {
		return "resourceclaims"
	}
	for _, list := range [][]v1.Container{spec.InitContainers, spec.Containers} {
		for _, c := range list {
			for _, from := range c.EnvFrom {
				switch {
				case from.ConfigMapRef != nil:
					return "configmaps"
				case from.SecretRef != nil:
					return "secrets"
				}
			}
			for _, e := range c.Env {
				switch {
				case e.ValueFrom == nil:
				case e.ValueFrom.ConfigMapKeyRef != nil:
					return "configmaps"
				case e.ValueFrom.SecretKeyRef != nil:
					return "secrets"
				}
			}
		}
	}
	for _, v := range spec.Volumes {
		switch {
		case v.ConfigMap != nil:
			return "configmaps"
		case v.Secret != nil:
			return "secrets"
		case v.PersistentVolumeClaim != nil || v.Ephemeral != nil:
			return "persistentvolumeclaims"
		case v.CSI != nil:
			return "csidrivers"
		case v.Projected != nil:
			for _, source := range v.Projected.Sources {
				switch {
				case source.ConfigMap != nil:
					return "configmaps"
				case source.Secret != nil:
					return "secrets"
				case source.ServiceAccountToken != nil:
					return "serviceaccounts"
				case source.ClusterTrustBundle != nil:
					return "clustertrustbundles"
				}
			}
		}
	}
	return ""
}
