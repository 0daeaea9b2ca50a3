package bitcoin

import (
	"bytes"
	"encoding/hex"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/btcsuite/btcd/address/v2/base58"
	"github.com/btcsuite/btcd/address/v2/bech32"
)

// A Form is a kind of script that has an address.
type Form string

// The forms that a payment may go to.
const (
	PayKeyHash           Form = "p2pkh"
	PayScriptHash        Form = "p2sh"
	PayWitnessKeyHash    Form = "p2wpkh"
	PayWitnessScriptHash Form = "p2wsh"
	PayTaproot           Form = "p2tr"
)

// forms are what a script of each form is, around its program, and the least amount that nodes relay to it (Bitcoin Core, GetDustThreshold at 3 sat/vB).
var forms = []struct {
	form          Form
	before, after []byte
	program       int
	dust          uint64
}{
	{PayKeyHash, []byte{0x76, 0xa9, 20}, []byte{0x88, 0xac}, 20, 546},
	{PayScriptHash, []byte{0xa9, 20}, []byte{0x87}, 20, 540},
	{PayWitnessKeyHash, []byte{0x00, 20}, nil, 20, 294},
	{PayWitnessScriptHash, []byte{0x00, 32}, nil, 32, 330},
	{PayTaproot, []byte{0x51, 32}, nil, 32, 330},
}

// split finds a script's form and program; dust is the least amount that may be paid to it.
func (s Script) split() (form Form, program []byte, dust uint64, err error) {
	for _, f := range forms {
		if len(s) == len(f.before)+f.program+len(f.after) && bytes.HasPrefix(s, f.before) && bytes.HasSuffix(s, f.after) {
			return f.form, s[len(f.before) : len(f.before)+f.program], f.dust, nil
		}
	}
	switch {
	case len(s) == 0:
		return "", nil, 0, errors.New("is empty: anybody could take the amount")
	case len(s) >= 4 && len(s) <= 42 && s[0] >= 0x51 && s[0] <= 0x60 && int(s[1]) == len(s)-2:
		return "", nil, 0, fmt.Errorf("is of witness version %d with %d bytes, which no rule of today guards: whoever makes a block could take the amount", s[0]-0x50, s[1])
	case s[0] == 0x00:
		return "", nil, 0, errors.New("is of witness version 0 with neither 20 nor 32 bytes, which nobody can spend")
	case s[len(s)-1] == 0xac || s[len(s)-1] == 0xae:
		return "", nil, 0, errors.New("is a bare key or multisig, which has no address")
	}
	return "", nil, 0, errors.New("is of no form that has an address")
}

// Dust is the least amount that may be paid to a script; 0 where it has no address.
func Dust(s Script) uint64 {
	_, _, dust, _ := s.split()
	return dust
}

// Address is the address of a script, as the network writes it.
func (n Network) Address(s Script) (string, error) {
	form, program, _, err := s.split()
	if err != nil {
		return "", fmt.Errorf("script %w", err)
	}
	switch form {
	case PayKeyHash:
		return base58.CheckEncode(program, n.keyHash()), nil
	case PayScriptHash:
		return base58.CheckEncode(program, n.scriptHash()), nil
	case PayTaproot:
		return n.segwit(1, program)
	}
	return n.segwit(0, program)
}

// Versions of addresses in base58: the main network has its own, all others share one.
func (n Network) keyHash() byte {
	if n.Name == "mainnet" {
		return 0x00
	}
	return 0x6f
}

func (n Network) scriptHash() byte {
	if n.Name == "mainnet" {
		return 0x05
	}
	return 0xc4
}

// ParseAddress reads an address of this network: P2PKH, P2SH, P2WPKH, P2WSH or P2TR (BIP 173 and BIP 350). An address in capitals is read, as BIP 173 allows, where it is
// of those forms; Address writes it in lower case.
func (n Network) ParseAddress(text string) (Script, error) {
	if len(text) > 90 {
		return nil, fmt.Errorf("address %.20q… has %d characters, more than any", text, len(text))
	}
	s, err := n.parseBase58(text)
	if strings.HasPrefix(strings.ToLower(text), n.prefix+"1") {
		s, err = parseSegwit(text)
	}
	if err != nil {
		return nil, fmt.Errorf("address %q of %s: %w", text, n.Name, err)
	}
	if _, _, _, err := s.split(); err != nil {
		return nil, fmt.Errorf("address %q of %s: its script %w", text, n.Name, err)
	}
	return s, nil
}

func (n Network) parseBase58(text string) (Script, error) {
	program, version, err := base58.CheckDecode(text)
	switch {
	case err != nil:
		return nil, fmt.Errorf("it begins with neither %s1 nor is it base58 with a checksum that holds", n.prefix)
	case len(program) != 20:
		return nil, fmt.Errorf("its hash has %d bytes, not 20", len(program))
	case version == n.keyHash():
		return append(append(Script{0x76, 0xa9, 20}, program...), 0x88, 0xac), nil
	case version == n.scriptHash():
		return append(append(Script{0xa9, 20}, program...), 0x87), nil
	}
	return nil, fmt.Errorf("its version %d is of another network", version)
}

func parseSegwit(text string) (Script, error) {
	_, words, encoding, err := bech32.DecodeGeneric(text)
	switch {
	case err != nil:
		return nil, fmt.Errorf("no bech32: %w", err)
	case len(words) < 1 || words[0] > 16:
		return nil, errors.New("its witness version is none")
	case words[0] == 0 && encoding != bech32.Version0, words[0] > 0 && encoding != bech32.VersionM:
		return nil, errors.New("its checksum is of another witness version's kind (BIP 350)")
	}
	program, err := bech32.ConvertBits(words[1:], 5, 8, false)
	switch {
	case err != nil:
		return nil, fmt.Errorf("its program: %w", err)
	case len(program) < 2 || len(program) > 40:
		return nil, fmt.Errorf("its program has %d bytes, not 2 to 40", len(program))
	}
	version := words[0]
	if version > 0 {
		version += 0x50
	}
	return append(Script{version, byte(len(program))}, program...), nil
}

const (
	// MaxMemo is the longest memo in bytes: what every node of the network relays.
	MaxMemo = 80

	opReturn    = 0x6a
	opPushData1 = 0x4c
)

// memoScript is OP_RETURN and one push of 1 to MaxMemo bytes in its shortest form.
func memoScript(memo []byte) Script {
	s := Script{opReturn}
	if len(memo) > 75 {
		s = append(s, opPushData1)
	}
	return append(append(s, byte(len(memo))), memo...)
}

// memo reads such a script.
func (s Script) memo() ([]byte, error) {
	var data []byte
	switch {
	case len(s) > 2 && s[1] <= 75:
		data = s[2:]
	case len(s) > 3 && s[1] == opPushData1:
		data = s[3:]
	}
	switch {
	case len(data) == 0 || len(data) > MaxMemo || !bytes.Equal(memoScript(data), s):
		return nil, fmt.Errorf("is OP_RETURN with anything else than one push of 1 to %d bytes", MaxMemo)
	case bytes.HasPrefix(data, []byte("omni")): // tokens of Omni move by it, from the first input's address to the last output's
		return nil, errors.New("is a command of Omni, which moves tokens that no amount shows")
	}
	return data, nil
}

// showMemo is a memo as text: hex, and behind it in quotes what it reads where all of it is printable ASCII. Other bytes could
// turn or hide what stands beside them.
func showMemo(memo []byte) string {
	text := "0x" + hex.EncodeToString(memo)
	for _, c := range memo {
		if c < 0x20 || c > 0x7e {
			return text
		}
	}
	return text + " " + strconv.Quote(string(memo))
}
