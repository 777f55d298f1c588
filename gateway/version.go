package gateway

import (
	"k8s.io/apimachinery/pkg/version"
	basecompatibility "k8s.io/component-base/compatibility"
)

// KubernetesVersion is the version of the API that is served. A build of
// upstream as a module doesn't know its own.
const KubernetesVersion = "v1.37.1"

// known is upstream's version of the server, with its name filled in.
type known struct {
	basecompatibility.EffectiveVersion
}

func (k known) Info() *version.Info {
	info := *k.EffectiveVersion.Info()
	info.GitVersion, info.GitCommit, info.GitTreeState = KubernetesVersion+"+reckon", "", ""
	return &info
}
