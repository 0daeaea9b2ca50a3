package decide

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/ostraka/ostraka/chain"
	"github.com/ostraka/ostraka/chain/effect"
	"github.com/ostraka/ostraka/crypto/group"
	"github.com/ostraka/ostraka/custody/intent"
	"github.com/ostraka/ostraka/custody/payload"
	"github.com/ostraka/ostraka/custody/statement"
	"github.com/ostraka/ostraka/node/ceremony"
)

// Several is the memo of an intent whose payload needs so many signatures in these tests.
func Several(n int) string { return memoSeveral + strconv.Itoa(n) }

const memoSeveral = "signatures needed: "

func init() {
	payloadOf = func(s statement.Statement, it intent.Intent, v ceremony.View, key group.Point, c payload.Context) (payload.Payload, error) {
		p, err := decode(s, it, v, key, c)
		if n := needed(it); err == nil && n > 1 {
			p = &several{p.(*payload.EVM), v, n}
		}
		return p, err
	}
}

func needed(it intent.Intent) int {
	text, _ := strings.CutPrefix(it.Memo, memoSeveral)
	n, err := strconv.Atoi(text)
	if err != nil {
		return 1
	}
	return n
}

// Digests are all that such an intent has signed; the first is the chain's own.
func Digests(it intent.Intent, first [32]byte) [][32]byte {
	all := [][32]byte{first}
	for i := 1; i < needed(it); i++ {
		all = append(all, sha256.Sum256(fmt.Appendf(nil, "%x, signature %d", first, i)))
	}
	return all
}

// several is a payload as one of Bitcoin is: signatures by keys at several paths, each over a digest of its own that follows from all of it. The first is the chain's own.
type several struct {
	*payload.EVM
	view ceremony.View
	n    int
}

func (p *several) Uses() (all []effect.Use) {
	all = p.EVM.Uses()
	for i, d := range Digests(intent.Intent{Memo: Several(p.n)}, [32]byte(all[0].Message))[1:] {
		all = append(all, effect.Use{Suite: all[0].Suite, Path: [3]uint32{0, 0, uint32(i + 1)}, Address: fmt.Sprint("number ", i+1), Message: d[:]})
	}
	return all
}

func (p *several) Assemble(sigs []effect.Signature) (*payload.Signed, error) {
	if len(sigs) != p.n {
		return nil, errors.New("signatures are missing")
	}
	for i, u := range p.Uses() {
		key, err := Key(p.view, u.Path[:])
		if err != nil {
			return nil, err
		}
		if err := chain.CheckUse(u, key, sigs[i]); err != nil {
			return nil, fmt.Errorf("signature %d: %w", i, err)
		}
	}
	return p.EVM.Assemble(sigs[:1])
}

// ReadPart reads one of several signatures, and writes it.
func ReadPart(raw []byte) ([]byte, error) {
	sig, err := decodePart(raw)
	return encodePart(sig), err
}
