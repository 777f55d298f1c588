// Package measure measures what a node and its containers use.
//
//		runtime's counters ─┐
//		/proc of the machine ┴─► Meter ─► Sample: counters, and rates since the sample before
//
//	 1. A rate of CPU is over at least five seconds, or over a container's whole life
//	    when it is younger than that or was never seen before; a counter that went back
//	    has none until it was read twice.
//	 2. Samples for the bus and for whoever asks share what was seen: asking often
//	    makes no rate noisier.
//	 3. Nothing is read by itself: the caller decides how often.
package measure
