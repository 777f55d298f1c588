package static

import (
	"crypto/md5"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	v1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/validation"
	"sigs.k8s.io/yaml"

	"github.com/reckon-project/reckon/events"
)

// The annotations by which Kubernetes tells where a pod comes from.
const (
	AnnotationSource = "kubernetes.io/config.source"
	AnnotationHash   = "kubernetes.io/config.hash"
	AnnotationMirror = "kubernetes.io/config.mirror"
)

const longestFile = 10 << 20

// Read gives the pods of a folder's files for a node, in the order of the files' names. The error
// tells of files that can't be used, and has the class Unavailable if the folder, or a file that is
// there, can't be read, so that nobody knows all pods; a folder that isn't there is empty.
func Read(dir, node string) ([]*v1.Pod, error) {
	entries, err := os.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("%w: %v", events.ErrUnavailable, err)
	}
	var out []*v1.Pod
	var errs []error
	names := map[string]bool{}
	for _, e := range entries {
		if strings.HasPrefix(e.Name(), ".") || e.IsDir() {
			continue
		}
		path := filepath.Join(dir, e.Name())
		pods, err := readFile(path, node)
		if err != nil {
			errs = append(errs, fmt.Errorf("read the pods of %s: %w", path, err))
		}
		for _, p := range pods {
			if name := p.Namespace + "/" + p.Name; names[name] {
				errs = append(errs, fmt.Errorf("%w: pod %s of %s is in another file too", events.ErrInvalid, name, path))
			} else {
				names[name] = true
				out = append(out, p)
			}
		}
	}
	return out, errors.Join(errs...)
}

func readFile(path, node string) ([]*v1.Pod, error) {
	info, err := os.Stat(path)
	if errors.Is(err, fs.ErrNotExist) || err == nil && !info.Mode().IsRegular() {
		return nil, nil
	}
	if err == nil && info.Size() > longestFile {
		return nil, fmt.Errorf("%w: it is longer than %d bytes", events.ErrInvalid, longestFile)
	}
	if err != nil {
		return nil, err
	}
	data, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("%w: %v", events.ErrUnavailable, err)
	}
	text, err := yaml.YAMLToJSON(data)
	if err != nil {
		return nil, fmt.Errorf("%w: %v", events.ErrInvalid, err)
	}
	var kind metav1.TypeMeta
	if err := json.Unmarshal(text, &kind); err != nil {
		return nil, fmt.Errorf("%w: %v", events.ErrInvalid, err)
	}
	var pods []v1.Pod
	switch {
	case kind.APIVersion == "v1" && kind.Kind == "Pod":
		pods = make([]v1.Pod, 1)
		err = json.Unmarshal(text, &pods[0])
	case kind.APIVersion == "v1" && (kind.Kind == "PodList" || kind.Kind == "List"):
		var list v1.PodList
		err = json.Unmarshal(text, &list)
		pods = list.Items
	default:
		err = fmt.Errorf("it holds %s %s, and no pod", kind.APIVersion, kind.Kind)
	}
	if err != nil {
		return nil, fmt.Errorf("%w: %v", events.ErrInvalid, err)
	}
	var out []*v1.Pod
	for i := range pods {
		if err := complete(&pods[i], path, node); err != nil {
			return nil, err
		}
		out = append(out, &pods[i])
	}
	return out, nil
}

// complete makes a pod of a file one that the node can run.
func complete(p *v1.Pod, path, node string) error {
	if msgs := validation.IsDNS1123Subdomain(p.Name); len(msgs) > 0 {
		return fmt.Errorf("%w: the name of pod %q: %s", events.ErrInvalid, p.Name, strings.Join(msgs, "; "))
	}
	if len(p.Spec.Containers) == 0 {
		return fmt.Errorf("%w: pod %s has no containers", events.ErrInvalid, p.Name)
	}
	if what := refersTo(&p.Spec); what != "" {
		return fmt.Errorf("%w: pod %s: static pods may not reference %s", events.ErrInvalid, p.Name, what)
	}
	if p.UID == "" {
		text, err := json.Marshal(p)
		if err != nil {
			return err
		}
		sum := md5.Sum(fmt.Appendf(text, "host:%sfile:%s", node, path)) //nolint:gosec // it tells contents apart, no more
		p.UID = types.UID(hex.EncodeToString(sum[:]))
	}
	p.APIVersion, p.Kind = "v1", "Pod"
	p.Name += "-" + strings.ToLower(node)
	if p.Namespace == "" {
		p.Namespace = metav1.NamespaceDefault
	}
	if p.Annotations == nil {
		p.Annotations = map[string]string{}
	}
	p.Annotations[AnnotationSource], p.Annotations[AnnotationHash] = "file", string(p.UID)
	p.Spec.NodeName = node
	p.Spec.Tolerations = append(p.Spec.Tolerations, v1.Toleration{Operator: v1.TolerationOpExists, Effect: v1.TaintEffectNoExecute})
	p.Status = v1.PodStatus{Phase: v1.PodPending}
	setDefaults(&p.Spec)
	return nil
}
