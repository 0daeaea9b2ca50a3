package signet

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"slices"

	"github.com/ostraka/ostraka/custody/statement"
)

// What a wallet signs (EIP 712): of the domain that is ours, one struct that shows the statement. There is no chain id
// and no contract: a statement is for no chain, and wallets refuse an id other than that of the chain they are on.
const (
	domainName    = "Ostraka"
	domainVersion = "1"
	domainType    = "EIP712Domain(string name,string version)"
	shownType     = "Statement(string action,string kind,bytes32 id,string[] line)"
)

// own is the action shown for a statement that its signer makes their own.
const own = "sign"

// A shown is the typed message: what the wallet shows field by field. The id covers all of the statement.
type shown struct {
	Action string   `json:"action"` // approve, reject, …; own where the verb is the statement's kind
	Kind   string   `json:"kind"`
	ID     string   `json:"id"`   // "0x" and 64 digits
	Line   []string `json:"line"` // the statement's own lines, but for those that no person can judge
}

// hidden are the lines that no person can judge, besides the salt: random bytes, hashes, raw transactions. All other
// lines of every kind are shown.
var hidden = map[statement.Kind][]string{
	statement.Roster:   {"previous"},
	statement.Charter:  {"previous", "roster"},
	statement.Revoke:   {"charter"},
	statement.Freeze:   {"charter"},
	statement.Unfreeze: {"charter"},
	statement.Vault:    {"roster", "charter"},
	statement.Account:  {"charter"},
	statement.Intent:   {"charter", "key", "epoch", "transaction"},
	statement.Hello:    {"roster", "challenge"},
	statement.Cancel:   {"charter"},
	statement.Reshare:  {"roster", "previous", "key", "anchor"},
	statement.Sighting: {"identity"},

	statement.SOSRequest:      {"charter", "key", "epoch"},
	statement.SOSSupport:      {"charter"},
	statement.SOSVeto:         {"charter"},
	statement.SOSChallenge:    {"charter"},
	statement.SOSClose:        {"charter", "key", "epoch"},
	statement.SOSEarlyRelease: {"charter"},

	statement.Breakglass: {"charter", "key", "epoch"},
}

// show derives the message from the statement's own bytes.
func show(verb Verb, s statement.Statement) (shown, error) {
	action := string(verb)
	switch {
	case s.IsZero():
		return shown{}, errors.New("there is no statement to sign")
	case verb == Makes(s.Kind()):
		action = own
	case verb == own: // two verbs must not be shown as one
		return shown{}, fmt.Errorf("wallets do not sign with the verb %q", verb)
	}
	return shown{action, string(s.Kind()), "0x" + s.ID().String(), lines(s.Kind(), s.Fields())}, nil
}

func lines(k statement.Kind, b statement.Block) (out []string) {
	for _, f := range b {
		if f.Name != "salt" && !slices.Contains(hidden[k], f.Name) {
			out = append(out, f.Name+": "+f.Value)
		}
		out = append(out, lines(k, f.Block)...)
	}
	return out
}

// typedDigest is what the wallet's key signs: Keccak-256 of 0x19 0x01 ‖ domain separator ‖ hashStruct.
func typedDigest(verb Verb, s statement.Statement) ([32]byte, error) {
	m, err := show(verb, s)
	if err != nil {
		return [32]byte{}, err
	}
	id := s.ID()
	message := hashStruct(shownType, word(m.Action), word(m.Kind), id, words(m.Line))
	domain := hashStruct(domainType, word(domainName), word(domainVersion))
	return keccak([]byte{0x19, 0x01}, domain[:], message[:]), nil
}

// hashStruct is Keccak-256 of the type's hash and its members' words (EIP 712, hashStruct and encodeData).
func hashStruct(typ string, members ...[32]byte) [32]byte {
	sum := keccak([]byte(typ))
	parts := [][]byte{sum[:]}
	for _, m := range members {
		parts = append(parts, m[:])
	}
	return keccak(parts...)
}

// word is the member of a string.
func word(text string) [32]byte { return keccak([]byte(text)) }

// words is the member of a list of strings.
func words(texts []string) [32]byte {
	var all []byte
	for _, t := range texts {
		w := word(t)
		all = append(all, w[:]...)
	}
	return keccak(all)
}

// TypedData is what a wallet takes (eth_signTypedData_v4): JSON. FromWallet takes its answer.
func TypedData(verb Verb, s statement.Statement) ([]byte, error) {
	m, err := show(verb, s)
	if err != nil {
		return nil, err
	}
	type member struct {
		Name string `json:"name"`
		Type string `json:"type"`
	}
	type domain struct {
		Name    string `json:"name"`
		Version string `json:"version"`
	}
	var out bytes.Buffer
	e := json.NewEncoder(&out)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	err = e.Encode(struct {
		Types   map[string][]member `json:"types"`
		Primary string              `json:"primaryType"`
		Domain  domain              `json:"domain"`
		Message shown               `json:"message"`
	}{
		map[string][]member{
			"EIP712Domain": {{"name", "string"}, {"version", "string"}},
			"Statement":    {{"action", "string"}, {"kind", "string"}, {"id", "bytes32"}, {"line", "string[]"}},
		}, "Statement", domain{domainName, domainVersion}, m,
	})
	return out.Bytes(), err
}

// ParseWalletSignature reads what a wallet answers: 65 bytes in hex, with or without 0x.
func ParseWalletSignature(text string) ([]byte, error) {
	digits := text
	if len(digits) > 1 && digits[0] == '0' && (digits[1] == 'x' || digits[1] == 'X') {
		digits = digits[2:]
	}
	sig, err := hex.DecodeString(digits)
	if err != nil || len(sig) != typedSize {
		return nil, errors.New("wallet's signature is not 65 bytes in hex: 130 digits, with or without 0x")
	}
	return sig, nil
}
