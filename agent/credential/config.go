package credential

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	kubelet "k8s.io/kubelet/config/v1"
	protocol "k8s.io/kubelet/pkg/apis/credentialprovider/v1"
	"sigs.k8s.io/yaml"

	"github.com/reckon-project/reckon/events"
)

// Load reads a configuration file; bin is where its programs lie.
func Load(path, bin string) ([]kubelet.CredentialProvider, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("%w: read the credential providers' configuration: %v", events.ErrInvalid, err)
	}
	var c kubelet.CredentialProviderConfig
	if err := yaml.UnmarshalStrict(data, &c); err != nil {
		return nil, fmt.Errorf("%w: %s: %v", events.ErrInvalid, path, err)
	}
	group, _, _ := strings.Cut(c.APIVersion, "/")
	if c.Kind != "CredentialProviderConfig" || group != "kubelet.config.k8s.io" {
		return nil, fmt.Errorf("%w: %s holds %s %s, not a CredentialProviderConfig of kubelet.config.k8s.io/v1", events.ErrInvalid, path, c.APIVersion, c.Kind)
	}
	seen := map[string]bool{}
	for _, p := range c.Providers {
		if err := check(p, bin); err != nil {
			return nil, fmt.Errorf("%w: %s: provider %q: %v", events.ErrInvalid, path, p.Name, err)
		}
		if seen[p.Name] {
			return nil, fmt.Errorf("%w: %s: provider %q is there twice", events.ErrInvalid, path, p.Name)
		}
		seen[p.Name] = true
	}
	return c.Providers, nil
}

func check(p kubelet.CredentialProvider, bin string) error {
	switch {
	case p.Name == "" || p.Name != filepath.Base(p.Name) || slices.Contains([]string{".", ".."}, p.Name):
		return fmt.Errorf("its name must be that of a program in %s", bin)
	case p.APIVersion != protocol.SchemeGroupVersion.String():
		return fmt.Errorf("apiVersion must be %s, not %q", protocol.SchemeGroupVersion, p.APIVersion)
	case len(p.MatchImages) == 0:
		return fmt.Errorf("matchImages is required")
	case p.DefaultCacheDuration == nil || p.DefaultCacheDuration.Duration < 0:
		return fmt.Errorf("defaultCacheDuration is required, and at least 0")
	}
	if t := p.TokenAttributes; t != nil {
		switch {
		case t.ServiceAccountTokenAudience == "":
			return fmt.Errorf("tokenAttributes.serviceAccountTokenAudience is required")
		case t.RequireServiceAccount == nil:
			return fmt.Errorf("tokenAttributes.requireServiceAccount is required")
		case len(t.RequiredServiceAccountAnnotationKeys) > 0 || len(t.OptionalServiceAccountAnnotationKeys) > 0:
			return fmt.Errorf("annotations of service accounts aren't given to providers here")
		}
	}
	if _, err := os.Stat(filepath.Join(bin, p.Name)); err != nil {
		return fmt.Errorf("its program isn't there: %w", err)
	}
	return nil
}
