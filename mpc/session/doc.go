// Package session opens a protocol session among parties that share nothing but each
// other's identity keys, and carries its messages in signed and, where private,
// encrypted envelopes (spec/sessions; protocols.md 0.2).
//
// The opener signs a Setup; every party answers with a signed Join that carries a fresh
// nonce and an ephemeral X25519 key. The session id digests all of them, so it is fresh
// for every honest party even if the opener replays an old Setup. Private bodies are
// encrypted under the ephemeral keys alone: who later steals an identity key opens nothing.
//
// The caller must check a Setup against its own policy and its own stored epoch record,
// keep the hashes of Setups it answered until their NotAfter, and wipe the Channel when
// the session ends.
package session
