package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"
	"time"

	"github.com/reckon-project/reckon/bus"
	"github.com/reckon-project/reckon/events"
	"github.com/spf13/cobra"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/yaml"
	"k8s.io/client-go/discovery"
	"k8s.io/client-go/discovery/cached/memory"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/restmapper"
)

// publication is an event that somebody appends by hand.
type publication struct {
	eventType string
	object    string
	namespace string
	patch     string
	file      string
	reason    string
	note      string
	expect    uint64
}

func newPublish() *cobra.Command {
	var p publication
	cmd := &cobra.Command{
		Use:   "publish TYPE",
		Short: "Append an event by hand",
		Long: `Append an event by hand. It goes through the API on the bus, so that the same
admission and rights hold as for kubectl. Types that only one component may write are refused.

  reckon publish created -f pod.yaml
  reckon publish scaled --object deploy/web --patch '{"spec":{"replicas":5}}'
  reckon publish updated --object cm/settings --patch '{"data":{"a":"b"}}' --expect 1042
  reckon publish deleted --object pod/web-1`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			p.eventType = args[0]
			if err := p.check(); err != nil {
				return err
			}
			b, err := connect(cmd)
			if err != nil {
				return err
			}
			defer b.Close()
			e, err := p.publish(cmd.Context(), b, cmd.InOrStdin())
			if err != nil {
				return err
			}
			_, err = fmt.Fprintf(cmd.OutOrStdout(), "%s %s at %d\n", e.Key, e.Type, e.Sequence)
			return err
		},
	}
	dataFlags(cmd)
	cmd.Flags().StringVar(&p.object, "object", "", "the object, KIND/NAME or KIND/NAMESPACE/NAME")
	cmd.Flags().StringVarP(&p.namespace, "namespace", "n", "default", "the object's namespace")
	cmd.Flags().StringVar(&p.patch, "patch", "", "what changes, a JSON merge patch")
	cmd.Flags().StringVarP(&p.file, "file", "f", "", "the whole object (created) or the patch, YAML or JSON; - is standard input")
	cmd.Flags().StringVar(&p.reason, "reason", "", "why, one CamelCase word")
	cmd.Flags().StringVar(&p.note, "note", "", "why, for people")
	cmd.Flags().Uint64Var(&p.expect, "expect", 0, "append only if the object is at this version")
	return cmd
}

// check refuses what can never be published, before anything is contacted.
func (p *publication) check() error {
	writer, ok := events.Types[p.eventType]
	switch {
	case !ok:
		return fmt.Errorf("unknown event type %q: the types are %s", p.eventType, typeNames())
	case writer != events.WriterGateway:
		return fmt.Errorf("only the %s may append %q: a person may publish %s", writer, p.eventType, publishable())
	case p.eventType == events.Created && p.file == "":
		return fmt.Errorf("created needs the whole object: give it with -f FILE")
	case p.eventType != events.Created && p.object == "":
		return fmt.Errorf("%s needs the object it is about: give it with --object KIND/NAME", p.eventType)
	case p.patch != "" && p.file != "":
		return fmt.Errorf("give the patch with --patch or with --file, not both")
	case (p.eventType == events.Deleted || p.eventType == events.Deleting) && (p.patch != "" || p.file != ""):
		return fmt.Errorf("%s carries no patch", p.eventType)
	case p.eventType == events.Created && p.expect != 0:
		return fmt.Errorf("created expects that there is no object: --expect doesn't go with it")
	}
	return nil
}

func publishable() string {
	var names []string
	for _, t := range strings.Split(typeNames(), ", ") {
		if events.Types[t] == events.WriterGateway {
			names = append(names, t)
		}
	}
	return strings.Join(names, ", ")
}

// publish sends the event through the API and returns what was appended.
func (p *publication) publish(ctx context.Context, b bus.Bus, stdin io.Reader) (*events.Event, error) {
	config := apiOnBus(b, "user:admin")
	config.Wrap(func(next http.RoundTripper) http.RoundTripper { return p.origin(next) })
	disco, err := discovery.NewDiscoveryClientForConfig(config)
	if err != nil {
		return nil, err
	}
	client, err := dynamic.NewForConfig(config)
	if err != nil {
		return nil, err
	}
	mapper := restmapper.NewDeferredDiscoveryRESTMapper(memory.NewMemCacheClient(disco))
	data, err := p.data(stdin)
	if err != nil {
		return nil, err
	}
	since, err := logEnd(ctx, b)
	if err != nil {
		return nil, err
	}
	var k events.Key
	if p.eventType == events.Created {
		k, err = p.create(ctx, client, mapper, data)
	} else {
		k, err = p.change(ctx, client, mapper, data)
	}
	if err != nil {
		return nil, err
	}
	return p.appended(ctx, b, k, since)
}

// origin adds to requests what the event shall say.
func (p *publication) origin(next http.RoundTripper) http.RoundTripper {
	return roundTripper(func(r *http.Request) (*http.Response, error) {
		r = r.Clone(r.Context())
		if r.Method != http.MethodGet {
			r.Header.Set("Reckon-Type", p.eventType)
			if p.reason != "" {
				r.Header.Set("Reckon-Reason", p.reason)
			}
			if p.note != "" {
				r.Header.Set("Reckon-Note", p.note)
			}
		}
		return next.RoundTrip(r)
	})
}

type roundTripper func(*http.Request) (*http.Response, error)

func (f roundTripper) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

// data is the object or patch as JSON.
func (p *publication) data(stdin io.Reader) ([]byte, error) {
	text := []byte(p.patch)
	if p.file == "-" {
		all, err := io.ReadAll(stdin)
		if err != nil {
			return nil, err
		}
		text = all
	} else if p.file != "" {
		all, err := os.ReadFile(p.file)
		if err != nil {
			return nil, err
		}
		text = all
	}
	if len(text) == 0 {
		return []byte("{}"), nil
	}
	out, err := yaml.ToJSON(text)
	if err != nil {
		return nil, fmt.Errorf("the patch is neither JSON nor YAML: %w", err)
	}
	var m map[string]any
	if err := json.Unmarshal(out, &m); err != nil {
		return nil, fmt.Errorf("the patch must be a JSON object: %w", err)
	}
	return out, nil
}

func (p *publication) create(ctx context.Context, client dynamic.Interface, mapper meta.RESTMapper, data []byte) (events.Key, error) {
	u := &unstructured.Unstructured{}
	if err := u.UnmarshalJSON(data); err != nil {
		return events.Key{}, fmt.Errorf("the object in %s: %w", p.file, err)
	}
	m, err := mapper.RESTMapping(u.GroupVersionKind().GroupKind(), u.GroupVersionKind().Version)
	if err != nil {
		return events.Key{}, err
	}
	namespace := ""
	if m.Scope.Name() == meta.RESTScopeNameNamespace {
		if namespace = u.GetNamespace(); namespace == "" {
			namespace = p.namespace
		}
	}
	made, err := client.Resource(m.Resource).Namespace(namespace).Create(ctx, u, metav1.CreateOptions{FieldManager: "reckon-publish"})
	if err != nil {
		return events.Key{}, err
	}
	return events.Key{Group: m.Resource.Group, Resource: m.Resource.Resource, Namespace: namespace, Name: made.GetName()}, nil
}

func (p *publication) change(ctx context.Context, client dynamic.Interface, mapper meta.RESTMapper, data []byte) (events.Key, error) {
	k, err := parseObject(p.object, p.namespace)
	if err != nil {
		return events.Key{}, err
	}
	gvr, err := mapper.ResourceFor(schema.GroupVersionResource{Group: k.Group, Resource: k.Resource})
	if err != nil {
		return events.Key{}, err
	}
	resource := client.Resource(gvr).Namespace(k.Namespace)
	if p.eventType == events.Deleted || p.eventType == events.Deleting {
		o := metav1.DeleteOptions{}
		if p.expect != 0 {
			rv := fmt.Sprint(p.expect)
			o.Preconditions = &metav1.Preconditions{ResourceVersion: &rv}
		}
		return k, resource.Delete(ctx, k.Name, o)
	}
	if p.expect != 0 {
		if data, err = withVersion(data, p.expect); err != nil {
			return events.Key{}, err
		}
	}
	_, err = resource.Patch(ctx, k.Name, types.MergePatchType, data, metav1.PatchOptions{FieldManager: "reckon-publish"})
	return k, err
}

// withVersion makes a patch conditional on the object's version.
func withVersion(patch []byte, version uint64) ([]byte, error) {
	var m map[string]any
	if err := json.Unmarshal(patch, &m); err != nil {
		return nil, err
	}
	md, _ := m["metadata"].(map[string]any)
	if md == nil {
		md = map[string]any{}
	}
	md["resourceVersion"] = fmt.Sprint(version)
	m["metadata"] = md
	return json.Marshal(m)
}

func logEnd(ctx context.Context, b bus.Bus) (uint64, error) {
	_, last, err := b.Log().Range(ctx)
	return last, err
}

// appended finds the event that the request became. A change that changes
// nothing is no event, and that is an error here: the caller asked for one.
func (p *publication) appended(ctx context.Context, b bus.Bus, k events.Key, since uint64) (*events.Event, error) {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	for e, err := range b.Log().Read(ctx, since+1, k.Subject()) {
		if err != nil {
			return nil, err
		}
		// A deletion is deleting first where finalizers or grace remain.
		if e.Type == p.eventType || (e.Type == events.Deleting && p.eventType == events.Deleted) {
			return e, nil
		}
	}
	return nil, fmt.Errorf("%s is like that already: nothing was appended", k)
}
