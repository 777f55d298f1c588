// Package nodeports allocates the ports of NodePort services. The ports in use
// are one object in the log (servicenodeports, a RangeAllocation): every
// allocation is a decision that expects the object's last event, so two
// servers never hand out the same port.
//
// [New] gives the service registry its allocator, and the repair controller
// the registry of the range.
package nodeports
