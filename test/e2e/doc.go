// Package e2e drives the built binary as a user would, on this machine's real
// containerd, iptables and network, as scripts (testdata/*.txtar).
//
// Scripts know these commands besides testscript's own:
//
//	reckon ARGS...                  the binary under test
//	kubectl ARGS...                 reckon kubectl on the script's cluster
//	up / kill9                      start the script's cluster, detached; kill it with SIGKILL
//	tamper OLD NEW / cut SEQUENCE   change, cut off events of a log that nobody writes to
//	server                          start a control plane without a node, detached
//	eventually REGEXP COMMAND...    run a command until its output matches
//	http-all URL N                  get URL until N different answers were seen, and print them
//	http-only URL REGEXP            get URL until it answers nothing else any more
//	from-stdout NAME                set a variable to what the last command printed
//
// Each script has a cluster of its own, with its own data folder and ports, and
// purges it at its end.
package e2e
