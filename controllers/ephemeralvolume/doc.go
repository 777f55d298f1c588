// Package ephemeralvolume makes the claims of pods' generic ephemeral volumes:
// named <pod>-<volume>, made from the pod's template, and owned by the pod, so
// that they go with it. A claim of that name that isn't the pod's is left alone;
// the scheduler then says why the pod doesn't run.
package ephemeralvolume
