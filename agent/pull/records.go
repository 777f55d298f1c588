package pull

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"io/fs"
	"maps"
	"os"
	"slices"
	"strings"
	"sync"

	cri "k8s.io/cri-api/pkg/apis/runtime/v1"

	"github.com/reckon-project/reckon/agent/durable"
)

// most is how many secrets are remembered for one image: the newest.
const most = 100

// Records says which images the node pulled, and who may use them.
type Records struct {
	path string

	mu     sync.Mutex
	images map[string]map[string]*access // by the image's id, by its name without tag and digest
	under  map[string]int                // images' names that are being pulled
	unsure map[string]bool               // images' names whose pull was given up: they may be there, and for whom isn't known
}

// kept is what is in the file.
type kept struct {
	Images map[string]map[string]*access `json:"images"`
	Under  []string                      `json:"under,omitempty"` // or unsure
}

// access is who may use an image.
type access struct {
	Everyone bool      `json:"everyone,omitempty"`
	Secrets  []Secret  `json:"secrets,omitempty"`
	Accounts []Account `json:"accounts,omitempty"`
}

// OpenRecords reads what was recorded in a file. One that can't be understood is
// begun anew: pods then pull again what isn't for everyone.
func OpenRecords(path string) (*Records, error) {
	r := &Records{path: path, images: map[string]map[string]*access{}, under: map[string]int{}, unsure: map[string]bool{}}
	data, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return r, nil
	}
	if err != nil {
		return nil, err
	}
	var k kept
	if err := json.Unmarshal(data, &k); err != nil || k.Images == nil {
		return r, nil
	}
	r.images = k.Images
	for _, image := range k.Under {
		r.unsure[image] = true
	}
	return r, nil
}

// Pulled reports whether the node pulled an image itself.
func (r *Records) Pulled(id string) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.images[id] != nil
}

// begin and end say that an image is being pulled. It is written down first: what was pulled
// when the agent was killed isn't taken for what was there before.
func (r *Records) begin(image string) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.under[image]++; r.under[image] > 1 || r.unsure[image] {
		return nil
	}
	return r.write()
}

// end is told whether it is known what became of the pull.
func (r *Records) end(image string, known bool) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if !known {
		r.unsure[image] = true
	}
	if r.under[image]--; r.under[image] > 0 {
		return nil
	}
	delete(r.under, image)
	return r.write()
}

// add records that an image was pulled with a credential (nil: without any).
func (r *Records) add(image, id string, c *Credential) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.images[id] == nil {
		r.images[id] = map[string]*access{}
	}
	delete(r.unsure, image) // end writes that
	name := repository(image)
	a := r.images[id][name]
	if a == nil {
		a = &access{}
		r.images[id][name] = a
	}
	switch {
	case c == nil || c.Secret == nil && c.Account == nil:
		if a.Everyone {
			return nil
		}
		*a = access{Everyone: true}
	case a.Everyone:
		return nil
	case c.Secret != nil:
		a.Secrets = slices.DeleteFunc(a.Secrets, c.Secret.same)
		a.Secrets = append(a.Secrets, *c.Secret)
		a.Secrets = a.Secrets[max(0, len(a.Secrets)-most):]
	case !slices.Contains(a.Accounts, *c.Account):
		a.Accounts = append(a.Accounts, *c.Account)
		a.Accounts = a.Accounts[max(0, len(a.Accounts)-most):]
	}
	return r.write()
}

// same reports whether two are one secret, whatever it says.
func (s *Secret) same(o Secret) bool {
	return s.UID == o.UID && s.Namespace == o.Namespace && s.Name == o.Name
}

// mayUse reports whether a pod with these credentials may use an image that is there.
func (r *Records) mayUse(image, id string, have func() []Credential) bool {
	r.mu.Lock()
	names, pulled := r.images[id], r.images[id] != nil || r.under[image] > 0 || r.unsure[image]
	var a access
	if known := names[repository(image)]; known != nil {
		a = access{Everyone: known.Everyone, Secrets: slices.Clone(known.Secrets), Accounts: slices.Clone(known.Accounts)}
	}
	r.mu.Unlock()
	switch {
	case !pulled || a.Everyone:
		return true
	case len(a.Secrets) == 0 && len(a.Accounts) == 0:
		return false
	}
	for _, c := range have() {
		if c.Secret != nil && slices.ContainsFunc(a.Secrets, func(s Secret) bool { return c.Secret.same(s) || c.Secret.Hash == s.Hash }) ||
			c.Account != nil && slices.Contains(a.Accounts, *c.Account) {
			return true
		}
	}
	return false
}

// Forget drops the records of all images but these.
func (r *Records) Forget(but map[string]bool) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	gone := false
	for id := range r.images {
		if !but[id] && len(r.under) == 0 {
			delete(r.images, id)
			gone = true
		}
	}
	if !gone {
		return nil
	}
	return r.write()
}

func (r *Records) write() error {
	if r.path == "" {
		return nil
	}
	k := kept{Images: r.images, Under: slices.Collect(maps.Keys(r.under))}
	for image := range r.unsure {
		if r.under[image] == 0 {
			k.Under = append(k.Under, image)
		}
	}
	slices.Sort(k.Under)
	data, err := json.Marshal(k)
	if err != nil {
		return err
	}
	return durable.Write(r.path, data)
}

// repository is an image's name without tag and digest.
func repository(image string) string {
	image, _, _ = strings.Cut(image, "@")
	if i := strings.LastIndex(image, ":"); i > strings.LastIndex(image, "/") {
		image = image[:i]
	}
	return image
}

// hash tells credentials apart without giving them away.
func hash(a *cri.AuthConfig) string {
	data, err := json.Marshal([]string{a.Username, a.Password, a.Auth, a.ServerAddress, a.IdentityToken, a.RegistryToken})
	if err != nil {
		return ""
	}
	sum := sha256.Sum256(data)
	return hex.EncodeToString(sum[:])
}
