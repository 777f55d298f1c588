package static

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	v1 "k8s.io/api/core/v1"

	"github.com/reckon-project/reckon/events"
)

func TestRead(t *testing.T) {
	dir := t.TempDir()
	for name, text := range map[string]string{
		"a.yaml":     "apiVersion: v1\nkind: Pod\nmetadata: {name: a}\nspec: {containers: [{name: c, image: web}]}\n",
		"b.json":     `{"apiVersion":"v1","kind":"PodList","items":[{"metadata":{"name":"b","namespace":"kube-system"},"spec":{"containers":[{"name":"c","image":"web:1"}]}}]}`,
		".hidden":    "neither YAML: nor: a pod",
		"c.yaml":     "apiVersion: v1\nkind: Service\nmetadata: {name: c}\n",
		"d.yaml":     "apiVersion: v1\nkind: Pod\nmetadata: {name: d}\nspec: {serviceAccountName: x, containers: [{name: c, image: web}]}\n",
		"e.yaml":     "{",
		"twice.yaml": "apiVersion: v1\nkind: Pod\nmetadata: {name: a}\nspec: {containers: [{name: c, image: other}]}\n",
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	pods, err := Read(dir, "Node1")
	if len(pods) != 2 || pods[0].Name != "a-node1" || pods[0].Namespace != "default" || pods[1].Namespace != "kube-system" {
		t.Fatalf("it gives %v", pods)
	}
	for _, want := range []string{"c.yaml: invalid: it holds v1 Service", "static pods may not reference serviceaccounts", "e.yaml", "default/a-node1 of "} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q is missing in %v", want, err)
		}
	}
	a, b := pods[0], pods[1]
	if a.Spec.Containers[0].ImagePullPolicy != v1.PullAlways || b.Spec.Containers[0].ImagePullPolicy != v1.PullIfNotPresent || a.Spec.RestartPolicy != v1.RestartPolicyAlways || *a.Spec.TerminationGracePeriodSeconds != 30 {
		t.Errorf("the defaults are %+v", a.Spec)
	}
	again, _ := Read(dir, "Node1")
	other, _ := Read(dir, "Node2")
	if a.UID != again[0].UID || a.UID == other[0].UID || a.UID == b.UID || a.Annotations[AnnotationHash] != string(a.UID) {
		t.Errorf("the uids are %s, %s, %s, %s", a.UID, again[0].UID, other[0].UID, b.UID)
	}
	if pods, err := Read(filepath.Join(dir, "absent"), "n"); len(pods) > 0 || err != nil {
		t.Errorf("a folder that isn't there gives %v, %v", pods, err)
	}
}

// A file that can't be read for the moment doesn't end the pods in it.
func TestAFileThatCannotBeReadLeavesAllOpen(t *testing.T) {
	dir := t.TempDir()
	if err := os.Symlink("/proc/self/mem", filepath.Join(dir, "a.yaml")); err != nil { // reading its beginning fails
		t.Fatal(err)
	}
	if _, err := Read(dir, "n"); !errors.Is(err, events.ErrUnavailable) {
		t.Errorf("it says %v", err)
	}
}
