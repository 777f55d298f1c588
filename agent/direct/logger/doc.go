// Package logger writes what containers say to their logs, in a process of its own.
//
//		container ─► shim ─► fifo ─► logger ─► <log path>, in CRI's format
//		                               ▲ └───► whoever is attached
//		   agent ── open, reopen, drain, forget, attach ──┘ (a unix socket)
//
//	 1. One process serves a node. It has a session of its own and outlives the
//	    agent: a container that talks never waits for an agent that is away.
//	 2. It keeps no state: an agent sees at once that its logger ended, starts one and
//	    opens every running container's fifos again. What was in a fifo isn't lost.
//	    While neither runs a container that has said more than 64 KiB waits for the next agent;
//	    one that ends meanwhile loses what it said last.
//	 3. A line is written when it is complete, or longer than 16 KiB, or when its
//	    stream ends. A log that can't be written to loses lines; the container goes on.
//	 4. Drain returns when everything that a container said is in its log. A stream
//	    ends when it was drained and its shim has ended.
package logger
