package pod

import (
	"io"
	"os"
	"path/filepath"
	"strings"

	v1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	cri "k8s.io/cri-api/pkg/apis/runtime/v1"
)

const (
	idPrefix       = "containerd://"
	longestMessage = 4096
	longestLog     = 2048
	mostLogLines   = 80
	mostMessages   = 12 << 10 // of all containers of a pod together
)

func containerStatus(v view, c *container, initialized bool) v1.ContainerStatus {
	out := v1.ContainerStatus{Name: c.spec.Name, Image: c.spec.Image, RestartCount: c.inherit}
	no, yes := false, true
	if c.kind != ephemeral {
		out.Started = &no
	}
	if c.current != nil {
		out.RestartCount = int32(c.current.Metadata.Attempt)
		out.ContainerID = idPrefix + c.current.Id
		out.ImageID = c.current.ImageRef
		if u := c.current.GetUser().GetLinux(); u != nil {
			out.User = &v1.ContainerUser{Linux: &v1.LinuxContainerUser{UID: u.Uid, GID: u.Gid, SupplementalGroups: u.SupplementalGroups}}
		}
	}
	if c.ended != nil {
		out.LastTerminationState.Terminated = c.ended
	}
	if c.last != nil {
		out.LastTerminationState = terminated(v, c, c.last, "")
	}
	out.Resources, out.AllocatedResources = statusResources(c)
	switch {
	case c.running():
		out.State.Running = &v1.ContainerStateRunning{StartedAt: seconds(c.current.StartedAt)}
		if c.started && c.kind != ephemeral {
			out.Started = &yes
			out.Ready = c.ready
		}
	case c.exited():
		state := terminated(v, c, c.current, c.failure)
		if c.waiting != nil && !v.ended { // it will be started again
			out.LastTerminationState = state
			out.State.Waiting = &v1.ContainerStateWaiting{Reason: c.waiting.reason, Message: c.waiting.message}
			break
		}
		out.State = state
		if c.kind == initial {
			out.Ready = c.succeeded()
		}
	case c.lost:
		out.State.Terminated = &v1.ContainerStateTerminated{ExitCode: 137, Reason: "ContainerStatusUnknown",
			Message: "The container could not be located when the pod was looked at again"}
	case c.kind == initial && initialized && c.waiting == nil:
		out.Ready = true
		out.State.Terminated = &v1.ContainerStateTerminated{Reason: "Completed",
			Message: "Unable to get init container status from container runtime and pod has been initialized, treat it as exited normally"}
	case c.waiting != nil:
		out.State.Waiting = &v1.ContainerStateWaiting{Reason: c.waiting.reason, Message: c.waiting.message}
	case c.kind == regular && !initialized && hasInit(v.containers):
		out.State.Waiting = &v1.ContainerStateWaiting{Reason: reasonInitializing}
	case c.kind != regular && hasInit(v.containers):
		out.State.Waiting = &v1.ContainerStateWaiting{Reason: reasonInitializing}
	default:
		out.State.Waiting = &v1.ContainerStateWaiting{Reason: reasonCreating}
	}
	if v.ended {
		out.Ready = out.Ready && c.kind == initial
	}
	return out
}

func hasInit(containers []*container) bool {
	return len(containers) > 0 && containers[0].kind != regular
}

func terminated(v view, c *container, s *cri.ContainerStatus, failure string) v1.ContainerState {
	out := &v1.ContainerStateTerminated{
		ExitCode: s.ExitCode, Reason: s.Reason, Message: s.Message, ContainerID: idPrefix + s.Id,
		StartedAt: seconds(s.StartedAt), FinishedAt: seconds(s.FinishedAt),
	}
	if out.Reason == "" {
		out.Reason = "Completed"
		if s.ExitCode != 0 {
			out.Reason = "Error"
		}
	}
	if m := lastWords(v, c.spec, s); m != "" {
		out.Message = m
	} else if failure != "" && out.Message == "" {
		out.Message = failure
	}
	if most := mostMessages / max(len(v.containers), 1); len(out.Message) > most {
		out.Message = strings.ToValidUTF8(out.Message[:most], "")
	}
	return v1.ContainerState{Terminated: out}
}

// lastWords reads what the container left at its termination message path, or,
// where it wants that and failed, the end of its log.
func lastWords(v view, c *v1.Container, s *cri.ContainerStatus) string {
	if v.root == "" {
		return ""
	}
	message := tail(terminationPath(v.root, v.pod, c.Name, s.Metadata.Attempt), longestMessage)
	if message == "" && s.ExitCode != 0 && c.TerminationMessagePolicy == v1.TerminationMessageFallbackToLogsOnError {
		log := tail(filepath.Join(LogDir(v.root, v.pod), LogPath(c.Name, s.Metadata.Attempt)), longestMessage)
		var text []string
		for line := range strings.Lines(log) {
			if fields := strings.SplitN(line, " ", 4); len(fields) == 4 {
				text = append(text, fields[3])
			}
		}
		message = strings.Join(text[max(0, len(text)-mostLogLines):], "")
		message = message[max(0, len(message)-longestLog):]
	}
	return message
}

// tail reads a file's last bytes; a file that can't be read is empty.
func tail(path string, most int64) string {
	f, err := os.Open(path)
	if err != nil {
		return ""
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return ""
	}
	if _, err := f.Seek(max(0, info.Size()-most), io.SeekStart); err != nil {
		return ""
	}
	data, err := io.ReadAll(io.LimitReader(f, most))
	if err != nil {
		return ""
	}
	return strings.ToValidUTF8(string(data), "\uFFFD")
}

func seconds(n int64) metav1.Time {
	t := nanos(n)
	if t.IsZero() {
		return metav1.Time{}
	}
	return metav1.Unix(t.Unix(), 0)
}
