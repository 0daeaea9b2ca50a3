package charter

import (
	"encoding/hex"
	"fmt"
	"slices"
	"strings"

	"github.com/ostraka/ostraka/crypto/group/secp256k1"
	"github.com/ostraka/ostraka/custody/form"
	"github.com/ostraka/ostraka/custody/statement"
)

// A Recovery is what the chain itself enforces for a vault's Taproot coins: one key, outside the vault, spends a coin that lay still for so many blocks (spec/chain-bitcoin 8). It is in
// every address, so a vault has it from its making on, or never.
type Recovery struct {
	Key    [32]byte // x-only (BIP 340)
	Blocks uint16   // from each coin's own block, 1 to 65,535
}

// text is what a change of it is told by.
func (r Recovery) text() string {
	return described([2]string{"key", hex.EncodeToString(r.Key[:])}, [2]string{"after", fmt.Sprintf("%d blocks", r.Blocks)})
}

// check refuses a key that is no point's, and a vault whose addresses have no place for it.
func (r *Recovery) check(suites, chains []string) error {
	switch {
	case r == nil:
		return nil
	case r.Blocks == 0:
		return fmt.Errorf("recovery: blocks: 0: the key would spend at once")
	case !slices.Contains(suites, SuiteBIP340):
		return fmt.Errorf("recovery: only Taproot addresses have one, and the vault has no key of suite %s", SuiteBIP340)
	case len(chains) > 0 && !slices.ContainsFunc(chains, func(c string) bool { return strings.HasPrefix(c, "bip122:") }):
		return fmt.Errorf("recovery: the vault signs for no chain of Bitcoin")
	}
	if _, err := secp256k1.DecodePoint(append([]byte{2}, r.Key[:]...)); err != nil {
		return fmt.Errorf("recovery: key %x: %w", r.Key, err)
	}
	return nil
}

func sameRecovery(a, b *Recovery) bool { return a == b || a != nil && b != nil && *a == *b }

func (r *Recovery) add(b statement.Block) statement.Block {
	if r == nil {
		return b
	}
	return b.AddHex("recovery-key", r.Key[:]).AddUint("recovery-blocks", uint64(r.Blocks))
}

// readRecovery reads what add wrote: both fields, or none.
func readRecovery(b statement.Block) (*Recovery, error) {
	key, blocks := b.Hex("recovery-key"), b.Uint("recovery-blocks")
	switch {
	case len(key) == 0 && blocks == 0:
		return nil, nil //nolint:nilnil // there is none
	case len(key) != 32 || blocks == 0 || blocks > statement.MaxRecovery:
		return nil, fmt.Errorf("recovery: a key of 32 bytes and 1 to %d blocks stand together", statement.MaxRecovery)
	}
	return &Recovery{[32]byte(key), uint16(blocks)}, nil
}

func (r *Recovery) read(f *form.Map) {
	text := f.Text("key")
	key, err := hex.DecodeString(text)
	if err != nil || len(key) != 32 || hex.EncodeToString(key) != text {
		f.Fail("key", fmt.Sprintf("%.80q is not 32 bytes: 64 hexadecimal digits, lower case", text))
		return
	}
	blocks := f.Number("blocks")
	if blocks < 1 || blocks > statement.MaxRecovery {
		f.Fail("blocks", fmt.Sprintf("%d is not 1 to %d", blocks, statement.MaxRecovery))
		return
	}
	r.Key, r.Blocks = [32]byte(key), uint16(blocks)
}

func (r Recovery) fields() []string {
	return []string{fmt.Sprintf("key: %q", hex.EncodeToString(r.Key[:])), fmt.Sprint("blocks: ", r.Blocks)}
}

func orNone(r *Recovery) string {
	if r == nil {
		return "none"
	}
	return r.text()
}
