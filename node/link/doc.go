// Package link carries opaque frames between the nodes of a circle: mutual TLS 1.3 with pinned Ed25519
// identities and X25519MLKEM768, one Connect stream per pair over HTTP/2, one port (spec/link).
//
// It knows bytes and keys. It does not know sessions, statements or policy: what a frame says is signed and
// encrypted above it, so that this room may fail without giving anything away.
//
// # What is promised
//
// Send queues; a frame stays until the peer has acknowledged it. Frames of one peer reach Receive in the order of
// Send, one at a time. Two processes that both live on see each frame once, however often the connection breaks.
// When the peer restarts, its new life gets what the old one had not acknowledged; a frame may then reach both lives.
// When this process ends, its queue is gone: who needs more keeps an outbox.
//
// # Who runs
//
//   - Run starts, in the door: one accept loop, the HTTP/2 server, and one goroutine per unfinished handshake
//     (at most 64); and per pair one dial loop.
//   - A stream is run by whoever opened it: the dial loop, or the server's handler. That goroutine reads, and calls
//     Receive. It starts one more, which writes. Nothing else touches the Connect stream.
//   - Run returns when all of these are gone. HTTP/2's own goroutines end with their connections, which are closed by then.
//
// # Who locks what
//
//   - Link.mu: the map of pairs, and whether the link runs or is closed. Nothing is called under it that blocks;
//     pair.mu may be taken under it.
//   - door.mu: the lists of inbound connections. A leaf.
//   - pair.delivery: held while Receive runs, so that two streams of a pair never deliver at once. Taken before pair.mu.
//     Neither SetPeers nor Send takes it, so Receive may call both.
//   - pair.mu: queue, numbers, what was heard, the standing stream, and those fields of a stream that are marked so.
//     Never held during input or output. No other lock is taken under it.
//   - A stream's assembler belongs to its reader; current, offset and buffer belong to its writer.
//   - stream.end closes the connection and takes pair.mu; it is called without locks.
package link
