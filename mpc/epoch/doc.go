// Package epoch says which shares of a key are in force: records, certificates and FINAL
// (protocols.md 1.4 and 1.5, spec/epochs).
//
// Having several epochs on disk is harmless; mixing or losing them is not. So a new epoch
// is prepared durably by everyone in it (PREP), that is certified (Cert), its shares are
// tried by a test signature, and each member says FINAL with a proof that it holds its
// share, read back from storage. Only the certificate of all FINALs moves anybody, and only
// then are lower records erased.
//
// A Chain leads a new member from what its operator enrolled to what is in force. RolledBack
// finds out a store that is an older copy of itself.
//
// The room is pure: Book decides, the host keeps rows and sends messages.
package epoch
