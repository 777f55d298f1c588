package past_test

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"testing"

	authorizationv1 "k8s.io/api/authorization/v1"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
)

func testWrites(t *testing.T, s *story) {
	then := s.clientAt(t, s.then)
	_, created := then.CoreV1().Pods("default").Create(t.Context(), makePod("x", "x"), metav1.CreateOptions{})
	deleted := then.CoreV1().Pods("default").Delete(t.Context(), "old-0", metav1.DeleteOptions{})
	for _, err := range []error{created, deleted} {
		if !apierrors.IsMethodNotSupported(err) || !strings.HasPrefix(err.Error(), fmt.Sprintf("the past can't be changed: /at/%d serves reads only", s.then)) {
			t.Errorf("a write: %v", err)
		}
	}
	err := then.CoreV1().Pods("default").GetLogs("old-0", &corev1.PodLogOptions{}).Do(t.Context()).Error()
	if !apierrors.IsMethodNotSupported(err) || !strings.Contains(err.Error(), "log of a pod reaches what runs now: it has no past") {
		t.Errorf("logs: %v", err)
	}
	review := must(then.AuthorizationV1().SelfSubjectAccessReviews().Create(t.Context(), &authorizationv1.SelfSubjectAccessReview{
		Spec: authorizationv1.SelfSubjectAccessReviewSpec{ResourceAttributes: &authorizationv1.ResourceAttributes{Verb: "get", Resource: "pods"}},
	}, metav1.CreateOptions{}))(t)
	if !review.Status.Allowed {
		t.Error("the administrator may not read pods")
	}
}

func testRights(t *testing.T, s *story) {
	as := func(user string) *kubernetes.Clientset {
		c := s.at(s.then)
		c.Impersonate.UserName = user
		return must(kubernetes.NewForConfig(c))(t)
	}
	rbac := s.admin.RbacV1()
	must(rbac.Roles("default").Create(t.Context(), &rbacv1.Role{
		ObjectMeta: metav1.ObjectMeta{Name: "reader"}, Rules: []rbacv1.PolicyRule{{APIGroups: []string{""}, Resources: []string{"pods"}, Verbs: []string{"list"}}},
	}, metav1.CreateOptions{}))(t)
	must(rbac.RoleBindings("default").Create(t.Context(), &rbacv1.RoleBinding{
		ObjectMeta: metav1.ObjectMeta{Name: "reader"}, RoleRef: rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "Role", Name: "reader"},
		Subjects: []rbacv1.Subject{{APIGroup: rbacv1.GroupName, Kind: rbacv1.UserKind, Name: "jane"}},
	}, metav1.CreateOptions{}))(t)
	eventually(t, "jane may list the pods of then, by a role of today", func(ctx context.Context) (bool, error) {
		l, err := as("jane").CoreV1().Pods("default").List(ctx, metav1.ListOptions{})
		return err == nil && podNames(l) == "old-0 old-1 old-2", nil
	})
	if _, err := as("jane").CoreV1().Secrets("default").List(t.Context(), metav1.ListOptions{}); !apierrors.IsForbidden(err) {
		t.Errorf("jane lists the secrets of then: %v", err)
	}
	if _, err := as("joe").CoreV1().Pods("default").List(t.Context(), metav1.ListOptions{}); !apierrors.IsForbidden(err) {
		t.Errorf("joe lists the pods of then: %v", err)
	}
	anonymous := must(kubernetes.NewForConfig(rest.AnonymousClientConfig(s.at(s.then))))(t)
	for _, path := range []string{"", "/api/v1/pods"} {
		err := anonymous.RESTClient().Get().RequestURI(path).Do(t.Context()).Error()
		if !apierrors.IsForbidden(err) && !apierrors.IsUnauthorized(err) {
			t.Errorf("somebody asks for %q: %v", path, err)
		}
	}
}

func testBeginning(t *testing.T, s *story) {
	if err := s.Bus.Log().Trim(t.Context(), s.then); err != nil {
		t.Fatal(err)
	}
	_, err := s.clientAt(t, 5).CoreV1().Pods("default").List(t.Context(), metav1.ListOptions{})
	if !apierrors.IsGone(err) || !strings.Contains(err.Error(), "5 is before the history that is kept: it begins at 20") || !strings.Contains(err.Error(), fmt.Sprintf("(sequence %d)", s.then)) {
		t.Errorf("before the history: %v", err)
	}
	if code := apierrors.ReasonForError(err); code != metav1.StatusReasonGone {
		t.Errorf("its reason is %s (%d)", code, http.StatusGone)
	}
}
