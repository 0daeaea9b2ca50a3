package bitcoin

import (
	"encoding/hex"
	"fmt"
	"strconv"
	"strings"

	"github.com/ostraka/ostraka/crypto/hd"
)

// String is the leaf as descriptors and miniscript write it (BIP 380, BIP 386): and_v(v:pk(R),older(N)).
func (r Recovery) String() string { return fmt.Sprintf("and_v(v:pk(%x),older(%d))", r.Key, r.Blocks) }

// ParseRecovery reads what String writes, and nothing else of miniscript.
func ParseRecovery(text string) (r Recovery, err error) {
	inner, begins := strings.CutPrefix(text, "and_v(v:pk(")
	inner, ends := strings.CutSuffix(inner, "))")
	key, blocks, divided := strings.Cut(inner, "),older(")
	x, err := hex.DecodeString(key)
	n, errN := strconv.ParseUint(blocks, 10, 16)
	if !begins || !ends || !divided || err != nil || errN != nil || len(x) != 32 {
		return r, fmt.Errorf("recovery leaf %.120q is not and_v(v:pk(64 hex digits),older(1 to 65535))", text)
	}
	r = Recovery{[32]byte(x), uint16(n)}
	if r.String() != text {
		return r, fmt.Errorf("recovery leaf %.120q is written %s", text, r)
	}
	return r, r.Check()
}

// Descriptor is what a wallet watches an account's addresses by (spec/derivation 5): wpkh([f/p]X/*)#c, tr([f/p]X/*)#c, or with the vault's leaf tr([f/p]X/*,LEAF)#c. root is the suite's, of depth 0.
func (v Vault) Descriptor(suite string, root hd.Key, department, account uint32) (string, error) {
	script := hd.TR
	switch suite {
	case SuiteECDSA:
		script = hd.WPKH
	case SuiteBIP340:
	default:
		return "", fmt.Errorf("descriptor: suite %.40q signs nothing on Bitcoin", suite)
	}
	d, err := hd.NewDescriptor(script, v.Network.Version(), root, hd.Path{department, account})
	if err != nil {
		return "", err
	}
	if script == hd.WPKH || v.Recovery == nil {
		return d.String(), nil
	}
	if err := v.Recovery.Check(); err != nil {
		return "", err
	}
	body, _, _ := strings.Cut(d.String(), "#")
	return hd.Checksummed(strings.TrimSuffix(body, ")") + "," + v.Recovery.String() + ")")
}

// ParseDescriptor reads what Descriptor writes; the leaf is nil where there is none.
func ParseDescriptor(text string) (hd.Descriptor, *Recovery, error) {
	body, sum, _ := strings.Cut(text, "#")
	head, leaf, ok := strings.Cut(body, ",")
	if !ok || len(text) > 1000 {
		d, err := hd.ParseDescriptor(text)
		return d, nil, err
	}
	again, err := hd.Checksummed(body)
	if err != nil || again != text {
		return hd.Descriptor{}, nil, fmt.Errorf("parse descriptor: checksum %.20q does not hold", sum)
	}
	leaf, closed := strings.CutSuffix(leaf, ")")
	if !closed || !strings.HasPrefix(head, "tr(") {
		return hd.Descriptor{}, nil, fmt.Errorf("parse descriptor: is not tr( of one key and one leaf )")
	}
	r, err := ParseRecovery(leaf)
	if err != nil {
		return hd.Descriptor{}, nil, fmt.Errorf("parse descriptor: %w", err)
	}
	plain, err := hd.Checksummed(head + ")")
	if err != nil {
		return hd.Descriptor{}, nil, fmt.Errorf("parse descriptor: %w", err)
	}
	d, err := hd.ParseDescriptor(plain)
	return d, &r, err
}
