package main

import (
	"context"
	"log/slog"
	"os"
	"os/signal"

	"github.com/reckon-project/reckon/agent"
	"golang.org/x/sys/unix"
)

// endWithMachine ends the node's pods in order when the machine is about to be
// shut down: whoever does that says so by SIGPWR, and waits as long as
// --shutdown-grace-period says.
func (u *upkeepFlags) endWithMachine(ctx context.Context, a *agent.Agent) error {
	periods := u.periods()
	if len(periods) == 0 {
		<-ctx.Done()
		return nil
	}
	power := make(chan os.Signal, 1)
	signal.Notify(power, unix.SIGPWR)
	defer signal.Stop(power)
	select {
	case <-ctx.Done():
		return nil
	case <-power:
	}
	slog.Warn("the machine is being shut down: the node's pods end")
	err := a.Shutdown(ctx, periods)
	if ctx.Err() != nil {
		return nil
	}
	<-ctx.Done() // it takes no pods any more; who shuts the machine down ends this process
	return err
}
