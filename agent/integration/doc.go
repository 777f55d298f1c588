// Package integration tests the agent on a real containerd. Its tests run in a
// network namespace of their own and need root, containerd, runc, the CNI
// plugins and busybox-static; they say so when one is missing.
package integration
