// Package logfile keeps a container's log from growing without end.
//
//	0.log                       being written
//	0.log.20060102-150405       put aside last
//	0.log.20060102-140000.gz    earlier ones
//
//	 1. No more files than asked for are there after a rotation, the one being written included.
//	 2. Nothing of what was written is lost but by the removal of the oldest file.
//	 3. A rotation that was interrupted is completed by the next one, or when the log is looked at.
package logfile
