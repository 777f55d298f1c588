// Package pod runs one pod: a worker per pod brings what runs to what the feed
// says, and reports what it sees.
//
//		feed ──Update/Remove──► ┌────────┐ ──► volumes, sandbox, containers
//		runtime events ──Wake──►│ Worker │
//		probes, timers ────────►└────────┘ ──► publisher ──► facts
//
//		pending ──volumes, sandbox──► init containers ──► running ◄──back-off──┐
//		                                                     │ exit ────────────┘
//		                 deleted, deadline, all done ──► stopping ──► ended ──► removed
//
//	 1. Every step may be repeated: a worker that starts finds what runs by the
//	    runtime's labels and goes on from there.
//	 2. Nothing but a deletion, the pod's own deadline, its containers' end or a
//	    failed liveness probe stops a container; that includes the agent's end.
//	 3. A pod whose containers have all ended for good reports its last phase only
//	    after its containers and its sandbox were stopped.
//	 4. One fact tells of a normal start; intermediate steps are told when they last.
//	 5. A fact names as its cause the decision that it is the first to answer, or the
//	    pod's fact before it, and carries the trace of the newest decision answered.
package pod
