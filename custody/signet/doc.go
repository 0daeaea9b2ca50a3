// Package signet makes and checks signatures over statements (spec/statements 3).
//
// People sign with SSH keys: a detached SSHSIG (OpenSSH PROTOCOL.sshsig) over the
// statement's exact bytes, in the namespace "<verb>@ostraka/v1". "ssh-keygen -Y sign"
// makes the same. Nodes sign what they themselves decide with their Ed25519 identity
// key, over a labelled tree, so that no other bytes under that key can be taken for it.
package signet
