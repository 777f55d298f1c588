// Package usage is how nodes tell what they and their pods use:
//
//		agent ──► usage.<node> (core NATS, every 15 s) ──► every gateway (metrics.k8s.io)
//
//	 1. A report is a whole: it names every container that was measured, with rates
//	    over the time since the report before.
//	 2. Reports travel at most once and are in no log: a lost one is followed by the
//	    next. A node may publish its own subject only.
//
// What it doesn't do: it measures nothing and keeps nothing.
package usage
