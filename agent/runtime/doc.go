// Package runtime says what the agent needs of the thing that runs containers.
//
// There are three implementations: agent/cri (containerd's CRI), agent/direct
// (containerd without its CRI service) and agent/hollow (containers that are only
// pretended, for scale and simulation). The words are CRI's own messages; an
// implementation promises:
//
//  1. Every call may be repeated: stopping or removing what is gone is no error.
//  2. Events yields an Event for every container that ended while it was
//     listening; what was missed shows in the next List.
//  3. List gives everything that carries this agent's pod labels, and nothing of others.
//  4. How a container ended is known for as long as it isn't removed, also to
//     an agent that was started again.
//
// Package runtimetest has the suite that agent/cri and agent/direct pass.
package runtime
