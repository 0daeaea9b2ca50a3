package signet

import (
	"errors"
	"fmt"
	"strings"

	"github.com/ostraka/ostraka/custody/statement"
)

// A Key is a person's public key that may stand in a statement. The zero value is no key.
//
// Accepted: SSH keys (NewKey), passkeys (Passkey), and Ethereum accounts that sign typed data (EIP 712).
type Key struct {
	_    [0]func() // compare with Equal: == would panic on what held holds
	line string    // one text per key
	held held
}

// held is what a key's line says, by kind: an sshKey, a Passkey or an account.
type held interface {
	fingerprint(line string) string
}

const maxKeyLine = 2048 // bytes

// ParseKey reads a key's one line: as in id_ed25519.pub, or one of
//
//	webauthn-p256 <rpID> <origin> <credential id, base64url> <public key, base64>
//	webauthn-ed25519 <rpID> <origin> <credential id, base64url> <public key, base64>
//	eip712 0x<address, EIP 55>
//
// A comment after it is dropped; options, as in authorized_keys, are refused.
func ParseKey(line string) (Key, error) {
	if len(line) > maxKeyLine {
		return Key{}, fmt.Errorf("key line has %d bytes, at most %d are allowed", len(line), maxKeyLine)
	}
	line = strings.TrimSpace(line)
	if strings.ContainsAny(line, "\r\n") {
		return Key{}, errors.New("key has more than one line")
	}
	words := strings.Fields(line)
	if len(words) == 0 {
		return Key{}, errors.New("key line is empty")
	}
	switch words[0] {
	case statement.Passkey256, statement.Passkey25519:
		return parsePasskey(words)
	case statement.EIP712:
		return parseAccount(words)
	}
	return parseSSH(line)
}

// String is the key's one line without comment, as it stands in statements.
func (k Key) String() string { return k.line }

// IsZero says that there is no key.
func (k Key) IsZero() bool { return k.line == "" }

// Equal compares keys.
func (k Key) Equal(o Key) bool { return k.line == o.line }

// Type is the line's first word: an SSH name of an algorithm, webauthn-p256, webauthn-ed25519 or eip712.
func (k Key) Type() string { name, _, _ := strings.Cut(k.line, " "); return name }

// Outside says that no SSH agent and no key file signs with it: a passkey signs in a browser, an account in a wallet.
func (k Key) Outside() bool {
	_, ssh := k.held.(sshKey)
	return k.held != nil && !ssh
}

// Fingerprint is short enough for people to compare: "SHA256:…" as ssh-keygen -l shows it, the same over a passkey's
// line, and of an account its address, as wallets show it.
func (k Key) Fingerprint() string {
	if k.held == nil {
		return ""
	}
	return k.held.fingerprint(k.line)
}
