// Package signet makes and checks signatures over statements (spec/statements 3).
//
// People sign a statement's exact bytes for one verb, with a key of any of three kinds: SSH keys (SSHSIG, in the
// namespace "<verb>@ostraka/v1"; "ssh-keygen -Y sign" makes the same), passkeys (WebAuthn, the challenge is a hash of key,
// verb and bytes), and Ethereum accounts, as of hardware wallets (EIP 712, the typed data are the statement's own lines).
// Parse and Verify take all of them. Nodes sign what they themselves decide with their Ed25519 identity
// key, over a labelled tree, so that no other bytes under that key can be taken for it.
//
// To sign with a passkey, a page asks navigator.credentials.get for Key.Passkey's credential with PasskeyChallenge, user verification
// required, and hands the answer to FromPasskey. A wallet takes TypedData, and FromWallet its answer. How a browser makes a passkey is console's.
package signet
