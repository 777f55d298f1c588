package main

import (
	"context"
	"fmt"
	"os"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"
	appsv1 "k8s.io/api/apps/v1"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/kubernetes"
)

// benchControllers measures controllers with many objects at once.
// Processor profiles go to the folder profiles, if there is one.
func benchControllers(ctx context.Context, binary, profiles string) error {
	if err := benchResync(ctx, profiles); err != nil {
		return err
	}
	dir, err := os.MkdirTemp("", "reckon-bench-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	c, err := newCluster(binary, dir)
	if err != nil {
		return err
	}
	defer c.stop()
	c.profiles = profiles
	if _, err := c.start(ctx); err != nil {
		return err
	}
	if err := c.startHollow(ctx, 100); err != nil {
		return err
	}
	for _, run := range []func(context.Context, *cluster) error{benchRollouts, benchJobs, benchNamespace} {
		if err := run(ctx, c); err != nil {
			return err
		}
	}
	return nil
}

// each calls f with 0 … n-1 from 64 clients.
func each(ctx context.Context, n int, f func(context.Context, int) error) error {
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(64)
	for i := range n {
		g.Go(func() error { return f(ctx, i) })
	}
	return g.Wait()
}

// benchRollouts creates 500 Deployments of 10 replicas, and rolls them at once.
func benchRollouts(ctx context.Context, c *cluster) error {
	const deployments, replicas = 500, 10
	name := func(i int) string { return fmt.Sprintf("roll-%d", i) }
	rolled := func(o runtime.Object) bool {
		d, ok := o.(*appsv1.Deployment)
		if !ok {
			return false
		}
		s := d.Status
		return s.ObservedGeneration == d.Generation && s.UpdatedReplicas == replicas && s.Replicas == replicas && s.AvailableReplicas == replicas
	}
	all := c.client.AppsV1().Deployments("default")
	m, err := c.measure(ctx, "create")
	if err != nil {
		return err
	}
	if err := each(ctx, deployments, func(ctx context.Context, i int) error { return deploy(ctx, c.client, name(i), replicas) }); err != nil {
		return err
	}
	if err := follow(ctx, 5*time.Minute, "500 Deployments available", all, deployments, rolled); err != nil {
		return err
	}
	if err := m.print(ctx, "500 Deployments of 10 replicas, created → all available, by pods", deployments*replicas); err != nil {
		return err
	}
	if m, err = c.measure(ctx, "roll"); err != nil {
		return err
	}
	err = each(ctx, deployments, func(ctx context.Context, i int) error {
		patch := []byte(`{"spec":{"template":{"spec":{"containers":[{"name":"main","image":"example.reckon.dev/pause:2"}]}}}}`)
		_, err := all.Patch(ctx, name(i), types.StrategicMergePatchType, patch, metav1.PatchOptions{})
		return err
	})
	if err != nil {
		return err
	}
	if err := follow(ctx, 10*time.Minute, "500 Deployments rolled", all, deployments, rolled); err != nil {
		return err
	}
	if err := m.print(ctx, "  rolled at once to a new template, by pods replaced", deployments*replicas); err != nil {
		return err
	}
	return each(ctx, deployments, func(ctx context.Context, i int) error {
		return all.Delete(ctx, name(i), metav1.DeleteOptions{})
	})
}

// benchJobs runs 5,000 Jobs of one pod that ends after half a second.
func benchJobs(ctx context.Context, c *cluster) error {
	const jobs = 5000
	err := await(ctx, 5*time.Minute, "earlier pods gone", func() (bool, error) {
		list, err := c.client.CoreV1().Pods("default").List(ctx, metav1.ListOptions{Limit: 1})
		return err == nil && len(list.Items) == 0, err
	})
	if err != nil {
		return err
	}
	m, err := c.measure(ctx, "jobs")
	if err != nil {
		return err
	}
	err = each(ctx, jobs, func(ctx context.Context, i int) error {
		pod := benchPod()
		pod.Annotations = map[string]string{"hollow.reckon.dev/exit-after": "500ms"}
		pod.Spec.RestartPolicy = corev1.RestartPolicyNever
		job := &batchv1.Job{
			ObjectMeta: metav1.ObjectMeta{Name: fmt.Sprintf("job-%d", i)},
			Spec:       batchv1.JobSpec{Template: corev1.PodTemplateSpec{ObjectMeta: pod.ObjectMeta, Spec: pod.Spec}},
		}
		_, err := c.client.BatchV1().Jobs("default").Create(ctx, job, metav1.CreateOptions{})
		return err
	})
	if err != nil {
		return err
	}
	err = follow(ctx, 10*time.Minute, "5,000 Jobs complete", c.client.BatchV1().Jobs("default"), jobs, func(o runtime.Object) bool {
		job, ok := o.(*batchv1.Job)
		return ok && job.Status.CompletionTime != nil
	})
	if err != nil {
		return err
	}
	return m.print(ctx, "5,000 Jobs of one pod that ends after 0.5 s, created → all complete", jobs)
}

// benchNamespace deletes a namespace with 10,000 objects.
func benchNamespace(ctx context.Context, c *cluster) error {
	const objects, namespace = 10_000, "full"
	if _, err := c.client.CoreV1().Namespaces().Create(ctx, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: namespace}}, metav1.CreateOptions{}); err != nil {
		return err
	}
	if err := fill(ctx, c.client, namespace, objects); err != nil {
		return err
	}
	m, err := c.measure(ctx, "namespace")
	if err != nil {
		return err
	}
	if err := c.client.CoreV1().Namespaces().Delete(ctx, namespace, metav1.DeleteOptions{}); err != nil {
		return err
	}
	err = await(ctx, 10*time.Minute, "namespace gone", func() (bool, error) {
		_, err := c.client.CoreV1().Namespaces().Get(ctx, namespace, metav1.GetOptions{})
		return apierrors.IsNotFound(err), nil
	})
	if err != nil {
		return err
	}
	return m.print(ctx, "a namespace with 10,000 objects deleted → gone", objects)
}

// fill makes pods, ConfigMaps, Secrets, Services and Deployments of no replicas.
func fill(ctx context.Context, client *kubernetes.Clientset, namespace string, objects int) error {
	none, labels := int32(0), map[string]string{"app": "none"}
	var services atomic.Int64
	return each(ctx, objects, func(ctx context.Context, i int) error {
		meta := metav1.ObjectMeta{Name: fmt.Sprintf("o-%d", i)}
		var err error
		switch i % 4 {
		case 0:
			_, err = client.CoreV1().ConfigMaps(namespace).Create(ctx, &corev1.ConfigMap{ObjectMeta: meta, Data: map[string]string{"a": "b"}}, metav1.CreateOptions{})
		case 1:
			_, err = client.CoreV1().Secrets(namespace).Create(ctx, &corev1.Secret{ObjectMeta: meta, Data: map[string][]byte{"a": []byte("b")}}, metav1.CreateOptions{})
		case 2:
			pod := benchPod()
			pod.ObjectMeta, pod.Spec.SchedulerName = meta, "nobody"
			_, err = client.CoreV1().Pods(namespace).Create(ctx, pod, metav1.CreateOptions{})
		case 3:
			if services.Add(1) <= 500 {
				_, err = client.CoreV1().Services(namespace).Create(ctx, &corev1.Service{
					ObjectMeta: meta, Spec: corev1.ServiceSpec{Selector: labels, Ports: []corev1.ServicePort{{Port: 80}}},
				}, metav1.CreateOptions{})
				break
			}
			_, err = client.AppsV1().ReplicaSets(namespace).Create(ctx, &appsv1.ReplicaSet{ObjectMeta: meta, Spec: appsv1.ReplicaSetSpec{
				Replicas: &none, Selector: &metav1.LabelSelector{MatchLabels: labels},
				Template: corev1.PodTemplateSpec{ObjectMeta: metav1.ObjectMeta{Labels: labels}, Spec: benchPod().Spec},
			}}, metav1.CreateOptions{})
		}
		return err
	})
}
