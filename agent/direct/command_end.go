package direct

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"

	"github.com/containerd/containerd/api/services/tasks/v1"
	"github.com/containerd/containerd/api/types/runc/options"
	"github.com/containerd/typeurl/v2"
	"golang.org/x/sys/unix"
)

// commandPrefix begins the names of executed commands; the name of the agent's run follows.
const commandPrefix = "exec-"

// endCommands ends the commands that earlier agents executed: nobody hears them any more.
func (r *Runtime) endCommands(ctx context.Context) {
	for _, rec := range r.all(runs) {
		r.endCommandsIn(ctx, rec.id) //nolint:errcheck // they end with the container at the latest
	}
}

func (r *Runtime) endCommandsIn(ctx context.Context, id string) error {
	service := r.daemon.TaskService()
	list, err := service.ListPids(ctx, &tasks.ListPidsRequest{ContainerID: id})
	if err != nil {
		return classify(native(err), "list the processes of %s", id)
	}
	var errs []error
	for _, p := range list.Processes {
		if p.Info == nil {
			continue // not one that was executed, but what one started
		}
		info, err := typeurl.UnmarshalAny(p.Info)
		if err != nil {
			return err
		}
		about, ok := info.(*options.ProcessDetails)
		if !ok || !strings.HasPrefix(about.ExecID, commandPrefix) || strings.HasPrefix(about.ExecID, commandPrefix+r.run+"-") {
			continue
		}
		_, err = service.Kill(ctx, &tasks.KillRequest{ContainerID: id, ExecID: about.ExecID, Signal: uint32(unix.SIGKILL)})
		if err == nil {
			_, err = service.Wait(ctx, &tasks.WaitRequest{ContainerID: id, ExecID: about.ExecID})
		}
		if err == nil {
			_, err = service.DeleteProcess(ctx, &tasks.DeleteProcessRequest{ContainerID: id, ExecID: about.ExecID})
		}
		errs = append(errs, gone(classify(native(err), "end the command %s in %s", about.ExecID, id)))
	}
	return errors.Join(errs...)
}

// sweepFifos removes the fifos that are no container's: those of commands of
// earlier agents, and of containers that are gone.
func (r *Runtime) sweepFifos() error {
	dir := filepath.Join(r.o.Dir, dirFifos)
	entries, err := os.ReadDir(dir)
	if err != nil {
		return err
	}
	for _, e := range entries {
		if r.find(e.Name()) == nil {
			if err := os.RemoveAll(filepath.Join(dir, e.Name())); err != nil {
				return err
			}
		}
	}
	return nil
}
