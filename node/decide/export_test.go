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
	"github.com/ostraka/ostraka/custody/statement"
	"github.com/ostraka/ostraka/node/ceremony"
)

// Several is the memo of an intent whose payload needs so many signatures in these tests.
func Several(n int) string { return memoSeveral + strconv.Itoa(n) }

const memoSeveral = "signatures needed: "

func init() {
	payloadOf = func(s statement.Statement, it intent.Intent, v ceremony.View, key group.Point, address string) (payload, error) {
		p, err := decode(s, it, v, key, address)
		text, is := strings.CutPrefix(it.Memo, memoSeveral)
		if err != nil || !is {
			return p, err
		}
		n, err := strconv.Atoi(text)
		return &several{p, v, n}, err
	}
}

// several is a payload as one of Bitcoin is: signatures by keys at several paths, each over a digest of its own that follows from all of it. The first is the chain's own.
type several struct {
	payload
	view ceremony.View
	n    int
}

func (p *several) uses() (all []effect.Use) {
	all = p.payload.uses()
	for i := 1; i < p.n; i++ {
		d := sha256.Sum256(fmt.Appendf(nil, "%x, signature %d", all[0].Message, i))
		all = append(all, effect.Use{Suite: all[0].Suite, Path: [3]uint32{0, 0, uint32(i)}, Address: fmt.Sprint("number ", i), Message: d[:]})
	}
	return all
}

func (p *several) finish(sigs []effect.Signature) ([]byte, error) {
	if len(sigs) != p.n {
		return nil, errors.New("signatures are missing")
	}
	for i, u := range p.uses() {
		key, err := Key(p.view, u.Path[:])
		if err != nil {
			return nil, err
		}
		if err := chain.CheckUse(u, key, sigs[i]); err != nil {
			return nil, fmt.Errorf("signature %d: %w", i, err)
		}
	}
	return p.payload.finish(sigs[:1])
}
