// Package tunnel is one end of a byte tunnel: a net.Conn over anything that
// carries frames in order.
//
//	Write ─► chunks of 64 KiB, at most 16 unread ─► send ═══► Receive ─► Read
//	                      ▲                                      │
//	                      └──────── credit for what was read ◄───┘
//
// What a [Conn] promises:
//
//  1. Bytes arrive in order and whole, or the connection ends with an error: a
//     lost or doubled frame resets it.
//  2. A reader that doesn't read stops the writer after 1 MiB.
//  3. CloseWrite ends one direction; what was written before it arrives.
//  4. After Close the other end reads what was written, then io.EOF; its writes
//     fail.
//  5. Deadlines and concurrent use work as net.Conn says.
//
// It starts no goroutine and reads no clock but for deadlines. Whoever carries
// the frames notices a dead peer and calls Reset.
package tunnel
