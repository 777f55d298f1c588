// Package report carries a node's facts to the log.
//
//		Report ──► counter ──► append to LOG, in order ──► done
//		                          │ bus away
//		                          ▼
//		                   queue on disk ──► appended later, in order
//
//	 1. Facts reach the log in the order they were reported in.
//	 2. A fact that was reported while the bus was away is on disk before Report's
//	    queue goes on, and is appended when the bus is back, also after a restart.
//	 3. Counters grow over all starts: the incarnation is kept on disk and never
//	    below the clock, so that a fact sent twice is void the second time.
//
// What it doesn't promise: a fact that is in flight when the process is killed
// may be lost. The agent reports the present state of everything when it starts.
package report
