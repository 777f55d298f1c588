package scheduler

import (
	"bytes"
	"cmp"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	configv1 "k8s.io/kube-scheduler/config/v1"
	extenderv1 "k8s.io/kube-scheduler/extender/v1"

	"github.com/reckon-project/reckon/events"
)

// extender is somebody's server that filters and scores nodes over HTTP.
type extender struct {
	url                string
	filter, prioritize string // verbs; "": it doesn't
	weight             int64
	cached             bool // it knows the nodes: names do
	managed            map[string]bool
	ignorable          bool
	client             *http.Client
}

// parseExtender reads one, and gives the resources that nodes aren't asked for then.
func parseExtender(field string, e *configv1.Extender) (*extender, []string, error) {
	switch {
	case e.URLPrefix == "":
		return nil, nil, invalid(field+".urlPrefix", "it is empty")
	case e.BindVerb != "":
		return nil, nil, invalid(field+".bindVerb", "placements are events of this scheduler: no extender binds pods")
	case e.PreemptVerb != "":
		return nil, nil, invalid(field+".preemptVerb", "extenders are not asked about preemption by this scheduler")
	case e.PrioritizeVerb != "" && e.Weight <= 0:
		return nil, nil, invalid(field+".weight", "%d is not positive", e.Weight)
	}
	secured, err := extenderTLS(e)
	if err != nil {
		return nil, nil, invalid(field+".tlsConfig", "%v", err)
	}
	transport := http.DefaultTransport.(*http.Transport).Clone()
	transport.TLSClientConfig = secured
	out := &extender{
		url: strings.TrimRight(e.URLPrefix, "/"), filter: e.FilterVerb, prioritize: e.PrioritizeVerb, weight: e.Weight,
		cached: e.NodeCacheCapable, ignorable: e.Ignorable, managed: map[string]bool{},
		client: &http.Client{Transport: transport, Timeout: cmp.Or(e.HTTPTimeout.Duration, 5*time.Second)},
	}
	var ignored []string
	for _, r := range e.ManagedResources {
		out.managed[r.Name] = true
		if r.IgnoredByScheduler {
			ignored = append(ignored, r.Name)
		}
	}
	return out, ignored, nil
}

// extenderTLS is how an extender is reached by HTTPS, as Kubernetes reads it.
func extenderTLS(e *configv1.Extender) (*tls.Config, error) {
	c := cmp.Or(e.TLSConfig, &configv1.ExtenderTLSConfig{})
	data := func(inline []byte, file string) ([]byte, error) {
		if len(inline) > 0 || file == "" {
			return inline, nil
		}
		return os.ReadFile(file)
	}
	ca, err1 := data(c.CAData, c.CAFile)
	cert, err2 := data(c.CertData, c.CertFile)
	key, err3 := data(c.KeyData, c.KeyFile)
	if err := errors.Join(err1, err2, err3); err != nil {
		return nil, err
	}
	out := &tls.Config{ServerName: c.ServerName, InsecureSkipVerify: c.Insecure || e.EnableHTTPS && len(ca) == 0}
	if len(ca) > 0 {
		out.RootCAs = x509.NewCertPool()
		if !out.RootCAs.AppendCertsFromPEM(ca) {
			return nil, errors.New("the CA holds no certificate")
		}
	}
	if len(cert) > 0 {
		pair, err := tls.X509KeyPair(cert, key)
		if err != nil {
			return nil, err
		}
		out.Certificates = []tls.Certificate{pair}
	}
	return out, nil
}

// interested reports whether the extender is asked about a pod.
func (e *extender) interested(pod *corev1.Pod) bool {
	if len(e.managed) == 0 {
		return true
	}
	asks := func(c corev1.Container) bool {
		for _, list := range []corev1.ResourceList{c.Resources.Requests, c.Resources.Limits} {
			for name := range list {
				if e.managed[string(name)] {
					return true
				}
			}
		}
		return false
	}
	return slices.ContainsFunc(pod.Spec.Containers, asks) || slices.ContainsFunc(pod.Spec.InitContainers, asks)
}

// call posts what is asked, and reads the answer.
func (e *extender) call(ctx context.Context, verb string, args *extenderv1.ExtenderArgs, answer any) error {
	body, err := json.Marshal(args)
	if err != nil {
		return err
	}
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, e.url+"/"+verb, bytes.NewReader(body))
	if err != nil {
		return err
	}
	r.Header.Set("Content-Type", "application/json")
	response, err := e.client.Do(r)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		return fmt.Errorf("%w: extender %s answers %s", events.ErrUnavailable, r.URL, response.Status)
	}
	return json.NewDecoder(response.Body).Decode(answer)
}

func (e *extender) args(pod *corev1.Pod, nodes []*corev1.Node) *extenderv1.ExtenderArgs {
	args := &extenderv1.ExtenderArgs{Pod: pod}
	if e.cached {
		names := make([]string, 0, len(nodes))
		for _, n := range nodes {
			names = append(names, n.Name)
		}
		args.NodeNames = &names
		return args
	}
	args.Nodes = &corev1.NodeList{}
	for _, n := range nodes {
		args.Nodes.Items = append(args.Nodes.Items, *n)
	}
	return args
}

// keep asks which of the nodes will do, and why the others won't.
func (e *extender) keep(ctx context.Context, pod *corev1.Pod, nodes []*corev1.Node, refused map[string]int) ([]*corev1.Node, error) {
	if e.filter == "" {
		return nodes, nil
	}
	var answer extenderv1.ExtenderFilterResult
	if err := e.call(ctx, e.filter, e.args(pod, nodes), &answer); err != nil {
		return nil, err
	}
	if answer.Error != "" {
		return nil, fmt.Errorf("%w: extender %s: %s", events.ErrUnavailable, e.url, answer.Error)
	}
	kept := map[string]bool{}
	switch {
	case e.cached && answer.NodeNames != nil:
		for _, name := range *answer.NodeNames {
			kept[name] = true
		}
	case answer.Nodes != nil:
		for i := range answer.Nodes.Items {
			kept[answer.Nodes.Items[i].Name] = true
		}
	}
	var out []*corev1.Node
	for _, n := range nodes {
		if kept[n.Name] {
			out = append(out, n)
			continue
		}
		refused[cmp.Or(answer.FailedNodes[n.Name], answer.FailedAndUnresolvableNodes[n.Name], "node(s) refused by an extender")]++
	}
	return out, nil
}

// score adds what the extender gives the nodes. If it fails, others decide.
func (e *extender) score(ctx context.Context, pod *corev1.Pod, nodes []*corev1.Node, scores map[string]int64) {
	if e.prioritize == "" {
		return
	}
	var answer extenderv1.HostPriorityList
	if e.call(ctx, e.prioritize, e.args(pod, nodes), &answer) != nil {
		return
	}
	for _, h := range answer {
		if _, ok := scores[h.Host]; ok {
			scores[h.Host] += h.Score * e.weight * 100 / extenderv1.MaxExtenderPriority
		}
	}
}
