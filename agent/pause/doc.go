// Package pause makes the sandbox container's program: it waits for its end and
// meanwhile reaps the orphans of a shared process namespace.
//
// The program is some twenty machine instructions, so it is assembled here, in
// Go, instead of being pulled or carried as a binary:
//
//	block SIGINT, SIGTERM, SIGCHLD
//	wait for one of them
//	SIGCHLD: wait4(any, no hang) until there is none, and wait again
//	interrupted: wait again; otherwise: exit with 0
//
// Blocking matters: as process 1 of its namespace it would never see a signal
// that has neither a handler nor is blocked.
package pause
