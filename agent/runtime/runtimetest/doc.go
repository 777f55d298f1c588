// Package runtimetest is what every runtime.Runtime with real containers must
// pass: agent/integration runs it for agent/cri and for agent/direct.
package runtimetest
