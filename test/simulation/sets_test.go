package simulation

import (
	"context"
	"fmt"
	"net/http"
	"time"
)

const (
	statefulSets = "/apis/apps/v1/namespaces/default/statefulsets"
	daemonSets   = "/apis/apps/v1/namespaces/default/daemonsets"
	jobs         = "/apis/batch/v1/namespaces/default/jobs"
	cronJobs     = "/apis/batch/v1/namespaces/default/cronjobs"
)

// beginSets makes what this user changes later on.
func (u *user) beginSets(ctx context.Context) {
	u.until(ctx, http.MethodPost, "/api/v1/namespaces", `{"apiVersion":"v1","kind":"Namespace","metadata":{"name":"default"}}`)
	u.until(ctx, http.MethodPost, statefulSets, statefulSet("db", "OrderedReady"))
	u.until(ctx, http.MethodPost, statefulSets, statefulSet("shard", "Parallel"))
	u.until(ctx, http.MethodPost, daemonSets, `{"apiVersion":"apps/v1","kind":"DaemonSet","metadata":{"name":"collect"},"spec":{
"selector":{"matchLabels":{"app":"collect"}},"template":{"metadata":{"labels":{"app":"collect"}},"spec":{"containers":[{"name":"main","image":"set"}]}}}}`) // for which there is room everywhere
	u.until(ctx, http.MethodPost, cronJobs, `{"apiVersion":"batch/v1","kind":"CronJob","metadata":{"name":"tick"},"spec":{"schedule":"* * * * *","jobTemplate":`+jobSpec(2, 1, 3, 0)+`}}`)
}

// endSets stops what would never end.
func (u *user) endSets(ctx context.Context) {
	u.until(ctx, http.MethodDelete, cronJobs+"/tick", `{"propagationPolicy":"Background"}`)
}

// actOnSets does one thing to stateful sets, daemon sets and jobs.
func (u *user) actOnSets(ctx context.Context, i int) {
	dice := u.world.chance(u.name, "acts on sets", i)
	set := statefulSets + "/" + []string{"db", "shard"}[dice>>8%2]
	n := dice >> 16
	stamp := fmt.Sprintf(`{"spec":{"template":{"metadata":{"annotations":{"version":"%d"}}}}}`, i)
	switch dice % 9 {
	case 0, 1:
		u.do(ctx, http.MethodPatch, set, fmt.Sprintf(`{"spec":{"replicas":%d}}`, n%4))
	case 2:
		u.do(ctx, http.MethodPatch, set, stamp)
	case 3:
		u.do(ctx, http.MethodPatch, daemonSets+"/collect", stamp)
	case 4, 5, 6:
		u.do(ctx, http.MethodPost, jobs, fmt.Sprintf(`{"apiVersion":"batch/v1","kind":"Job","metadata":{"name":"batch-%d"},%s`,
			i, jobSpec(1+n%4, 1+n>>8%3, 1+n>>16%9, n>>24%4/3)[1:]))
	case 7:
		u.do(ctx, http.MethodPatch, jobs+fmt.Sprintf("/batch-%d", i-1), fmt.Sprintf(`{"spec":{"suspend":%t}}`, n%2 == 0))
		if pause(ctx, 2*time.Second) {
			u.until(ctx, http.MethodPatch, jobs+fmt.Sprintf("/batch-%d", i-1), `{"spec":{"suspend":false}}`)
		}
	case 8:
		u.do(ctx, http.MethodDelete, jobs+fmt.Sprintf("/batch-%d", i-1), `{"propagationPolicy":"Background"}`)
	}
}

// small is a container of sets.
const small = `{"name":"main","image":"set","resources":{"requests":{"cpu":"100m","memory":"16Mi"}}}`

func statefulSet(name, policy string) string {
	return fmt.Sprintf(`{"apiVersion":"apps/v1","kind":"StatefulSet","metadata":{"name":%q},"spec":{"replicas":2,"serviceName":%q,"podManagementPolicy":%q,
"selector":{"matchLabels":{"app":%q}},"template":{"metadata":{"labels":{"app":%q}},"spec":{"containers":[%s]}}}}`, name, name, policy, name, name, small)
}

// jobSpec is a job's spec, in braces: its pods end after seconds, well (code 0) or not.
func jobSpec(completions, parallelism, seconds, code uint64) string {
	return fmt.Sprintf(`{"spec":{"completions":%d,"parallelism":%d,"backoffLimit":1,"template":{"metadata":{"annotations":{"hollow.reckon.dev/exit-after":"%ds","hollow.reckon.dev/exit-code":"%d"}},
"spec":{"restartPolicy":"Never","containers":[%s]}}}}`, completions, parallelism, seconds, code, small)
}
