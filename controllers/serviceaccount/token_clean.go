package serviceaccount

import (
	"context"
	"encoding/json"
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"

	"github.com/reckon-project/reckon/controllers"
	"github.com/reckon-project/reckon/events"
	"github.com/reckon-project/reckon/projections"
)

// What the API notes about tokens that don't expire.
const (
	tracking     = "kube-apiserver-legacy-service-account-token-tracking" // config map in kube-system
	trackedSince = "since"
	lastUsed     = "kubernetes.io/legacy-token-last-used"
	invalidSince = "kubernetes.io/legacy-token-invalid-since"
	dateFormat   = "2006-01-02"
)

// Unused is how long a token that was generated for a service account may be
// unused until it is marked invalid, and then until it is deleted.
const Unused = 365 * 24 * time.Hour

// NewTokenCleaner makes the controller that marks and then deletes such tokens. One
// that a person made, or that a pod mounts, stays.
func NewTokenCleaner() *controllers.Controller {
	return controllers.New("legacy-service-account-token-cleaner").
		Watches("", "secrets", func(_ *projections.Snapshot, c projections.Change, add func(events.Key)) {
			if tokenOf(c.New) != nil {
				add(c.New.Key)
			}
		}).
		Reconcile(cleanToken)
}

func cleanToken(ctx context.Context, s *projections.Snapshot, key events.Key) (controllers.Result, error) {
	o := s.Get(key)
	secret := tokenOf(o)
	if secret == nil || secret.DeletionTimestamp != nil {
		return controllers.Result{}, nil
	}
	now := controllers.Now(ctx).UTC()
	tomorrow := controllers.Result{RequeueAfter: now.Truncate(24 * time.Hour).Add(24 * time.Hour).Sub(now)}
	limit := now.Add(-Unused)
	account := accountOf(s, secret)
	switch {
	case account == nil, !slices.ContainsFunc(account.Secrets, func(r corev1.ObjectReference) bool { return r.Name == secret.Name }):
		return controllers.Result{}, nil // not generated; a reference that comes is seen tomorrow at the latest
	case !tracked(s, limit), !secret.CreationTimestamp.Time.Before(limit), used(secret, limit), mounted(s, secret):
		return tomorrow, nil
	}
	marked := secret.Labels[invalidSince]
	if _, err := time.Parse(dateFormat, marked); err != nil {
		patch, err := json.Marshal(map[string]any{"metadata": map[string]any{"labels": map[string]string{invalidSince: now.Format(dateFormat)}}})
		if err != nil {
			return controllers.Result{}, err
		}
		tomorrow.Intents = []controllers.Intent{controllers.MergePatch(o, patch)}
		return tomorrow, nil
	}
	if marked >= limit.Format(dateFormat) {
		return tomorrow, nil
	}
	i := controllers.Delete(o)
	seen := secret.ResourceVersion
	i.Options.Preconditions.ResourceVersion = &seen
	return controllers.Do(i), nil
}

// tracked reports whether the API has noted uses since before a time.
func tracked(s *projections.Snapshot, limit time.Time) bool {
	m, ok := projections.Get[*corev1.ConfigMap](s, controllers.ConfigMap.Key("kube-system", tracking))
	if !ok {
		return false
	}
	since, err := time.Parse(dateFormat, m.Data[trackedSince])
	return err == nil && !limit.Before(since.AddDate(0, 0, 1))
}

// used reports a token that was used since a time, or of which that isn't known.
func used(secret *corev1.Secret, limit time.Time) bool {
	last, ok := secret.Labels[lastUsed]
	if !ok {
		return false
	}
	_, err := time.Parse(dateFormat, last)
	return err != nil || last >= limit.Format(dateFormat)
}

// mounted reports a Secret that a pod refers to.
func mounted(s *projections.Snapshot, secret *corev1.Secret) bool {
	for pod := range projections.List[*corev1.Pod](s, "", "pods", secret.Namespace) {
		if refersTo(&pod.Spec, secret.Name) {
			return true
		}
	}
	return false
}

func refersTo(pod *corev1.PodSpec, secret string) bool {
	for _, r := range pod.ImagePullSecrets {
		if r.Name == secret {
			return true
		}
	}
	for i := range pod.Volumes {
		v := &pod.Volumes[i]
		if v.Secret != nil && v.Secret.SecretName == secret {
			return true
		}
		if v.Projected != nil && slices.ContainsFunc(v.Projected.Sources, func(p corev1.VolumeProjection) bool { return p.Secret != nil && p.Secret.Name == secret }) {
			return true
		}
	}
	for _, containers := range [][]corev1.Container{pod.InitContainers, pod.Containers} {
		for i := range containers {
			if inEnv(containers[i].Env, containers[i].EnvFrom, secret) {
				return true
			}
		}
	}
	return slices.ContainsFunc(pod.EphemeralContainers, func(c corev1.EphemeralContainer) bool { return inEnv(c.Env, c.EnvFrom, secret) })
}

func inEnv(env []corev1.EnvVar, from []corev1.EnvFromSource, secret string) bool {
	return slices.ContainsFunc(env, func(e corev1.EnvVar) bool {
		return e.ValueFrom != nil && e.ValueFrom.SecretKeyRef != nil && e.ValueFrom.SecretKeyRef.Name == secret
	}) || slices.ContainsFunc(from, func(e corev1.EnvFromSource) bool { return e.SecretRef != nil && e.SecretRef.Name == secret })
}
