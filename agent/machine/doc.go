// Package machine reads what a Linux machine has and how much of it is left:
// memory, processes, file systems, cgroups. Each reading is a file or a system
// call; only Use walks a folder.
package machine
