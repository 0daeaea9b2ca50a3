package breakglass

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/ostraka/ostraka/crypto/group"
	"github.com/ostraka/ostraka/crypto/secret"
	"github.com/ostraka/ostraka/crypto/share"
	"github.com/ostraka/ostraka/mpc/engine"
	"github.com/ostraka/ostraka/mpc/epoch"
)

// A ForeignError says that a piece is no part of this key in this epoch: another key's, another epoch's, or nobody's.
type ForeignError struct{ What, Why string }

func (e *ForeignError) Error() string { return e.What + ": " + e.Why }

// A WrongError says that a piece claims to be of this key and epoch, and does not match its public point there: it is damaged, or false.
type WrongError struct{ What string }

func (e *WrongError) Error() string {
	return e.What + ": it does not match its public point in the epoch's record: it is damaged, or was never that"
}

// A TooFewError says what is missing. Nothing was computed.
type TooFewError struct{ Shares, NeedShares, Masks, NeedMasks, Values, NeedValues int }

func (e *TooFewError) Error() string {
	says := fmt.Sprintf("too few pieces: %d of %d operators' shares are here", e.Shares, e.NeedShares)
	if e.NeedMasks == 0 {
		return says + fmt.Sprintf(": %d more are needed", e.NeedShares-e.Shares)
	}
	var lack []string
	if n := e.NeedMasks - e.Masks; n > 0 {
		lack = append(lack, fmt.Sprintf("masks of %d more operators", n))
	}
	if n := e.NeedValues - e.Values; n > 0 {
		lack = append(lack, fmt.Sprintf("values of %d more guardians", n))
	}
	return says + fmt.Sprintf(", and %d of %d masks with %d of %d guardians' values: needed are %d more shares, or %s",
		e.Masks, e.NeedMasks, e.Values, e.NeedValues, e.NeedShares-e.Shares, strings.Join(lack, " and "))
}

// A Piece is what one operator's backup gives of one key. The caller wipes it.
type Piece struct {
	From   string // where it lay, for people
	KeyID  [32]byte
	Number uint64     // of the epoch
	Epoch  epoch.Hash // eh
	Party  engine.PartyID
	Share  group.Scalar
	Mask   group.Scalar // nil: there is none
}

// A held piece counts.
type held struct {
	at    share.Index
	id    engine.PartyID
	value group.Scalar
}

// An Assembly is the pieces of one key that were checked. It prints as "[secret]".
type Assembly struct {
	key                   *Key
	shares, masks, values []held
}

// Assemble begins one.
func (k *Key) Assemble() *Assembly { return &Assembly{key: k} }

// Format redacts under every verb.
func (*Assembly) Format(f fmt.State, _ rune) { io.WriteString(f, secret.Redacted) } //nolint:errcheck // a printer's trouble

// Wipe overwrites the pieces' copies.
func (a *Assembly) Wipe() {
	for _, h := range slices.Concat(a.shares, a.masks, a.values) {
		h.value.Wipe()
	}
}

// Operator (spec/breakglass 3.1, 3.2) takes an operator's share, and its mask where guardians' values can be used. It keeps copies. What is there already, from another backup, is
// not counted twice.
func (a *Assembly) Operator(p Piece) error {
	r := a.key.Record
	switch {
	case p.KeyID != r.KeyID:
		return &ForeignError{p.From, fmt.Sprintf("it is of key %x, not of %x", p.KeyID[:6], r.KeyID[:6])}
	case p.Epoch != r.Hash():
		// Mixed epochs: shares of two polynomials give a third key, or one that only seems to be wrong.
		return &ForeignError{p.From, fmt.Sprintf("it is of %s, and the key is rebuilt in epoch %d (%v): pieces of two epochs give nothing together", age(p, r), r.Epoch, r.Hash())}
	}
	m, ok := r.Member(p.Party)
	if !ok {
		return &ForeignError{p.From, fmt.Sprintf("%v is no member of epoch %d", p.Party, r.Epoch)}
	}
	g := r.Public.Group()
	if !fits(g, p.Share, m.Public) {
		return &WrongError{fmt.Sprintf("%s: share of %s", p.From, a.key.name(p.Party))}
	}
	if p.Mask != nil && a.key.Guarded() {
		if !fits(g, p.Mask, a.key.set.MaskPoint(m.Index)) {
			return &WrongError{fmt.Sprintf("%s: mask of %s", p.From, a.key.name(p.Party))}
		}
		a.masks = add(a.masks, m.Index, p.Party, p.Mask)
	}
	a.shares = add(a.shares, m.Index, p.Party, p.Share)
	return nil
}

// age is a piece's epoch beside the record's.
func age(p Piece, r *epoch.Record) string {
	switch {
	case p.Number < r.Epoch:
		return fmt.Sprintf("the older epoch %d (%v)", p.Number, p.Epoch)
	case p.Number > r.Epoch:
		return fmt.Sprintf("the later epoch %d (%v)", p.Number, p.Epoch)
	}
	return fmt.Sprintf("another epoch %d (%v)", p.Number, p.Epoch)
}

// Guardian (spec/breakglass 3.3) takes a guardian's value, as Value opened it. It keeps a copy.
func (a *Assembly) Guardian(id engine.PartyID, value group.Scalar) error {
	if !a.key.Guarded() {
		return ErrNoGuardians
	}
	at, ok := a.key.plan.At(id)
	if !ok {
		return &ForeignError{"guardian " + a.key.name(id), fmt.Sprintf("is none of epoch %d", a.key.Record.Epoch)}
	}
	if !fits(a.key.Record.Public.Group(), value, a.key.set.ValuePoint(at)) {
		return &WrongError{"value of guardian " + a.key.name(id)}
	}
	a.values = add(a.values, at, id, value)
	return nil
}

// fits says whether a scalar is there, of the group, and the logarithm of a point.
func fits(g group.Group, s group.Scalar, public group.Point) bool {
	return s != nil && s.Group().Name() == g.Name() && g.BaseMul(s).Equal(public)
}

func add(list []held, at share.Index, id engine.PartyID, value group.Scalar) []held {
	if slices.ContainsFunc(list, func(h held) bool { return h.at == at }) {
		return list
	}
	list = append(list, held{at, id, value.Add(value.Group().Scalar(0))})
	slices.SortFunc(list, func(x, y held) int { return cmp.Compare(x.at, y.at) })
	return list
}

// Missing is nil if the pieces are enough, or a *TooFewError.
func (a *Assembly) Missing() error {
	r := a.key.Record
	e := &TooFewError{Shares: len(a.shares), NeedShares: r.Threshold, Masks: len(a.masks), Values: len(a.values)}
	if p := a.key.plan; p != nil {
		e.NeedMasks, e.NeedValues = p.Operators, p.Quorum
	}
	if e.Shares >= e.NeedShares || a.key.plan != nil && e.Masks >= e.NeedMasks && e.Values >= e.NeedValues {
		return nil
	}
	return e
}

// Rebuild (spec/breakglass 3.4) puts the key together: of exactly t shares, else of exactly r masks and k values. What comes of it is held to the root's public key before anybody
// has it. With one piece fewer it computes nothing.
func (a *Assembly) Rebuild() (*Root, error) {
	if err := a.Missing(); err != nil {
		return nil, err
	}
	r := a.key.Record
	g := r.Public.Group()
	root := &Root{KeyID: r.KeyID, Suite: r.Suite, Epoch: r.Hash(), Number: r.Epoch, Public: r.Public, ChainCode: r.ChainCode}
	var err error
	if len(a.shares) >= r.Threshold {
		root.private, err = a.sum("share", a.shares[:r.Threshold], root)
	} else {
		var h, u group.Scalar
		if h, err = a.sum("mask", a.masks[:a.key.plan.Operators], root); err == nil {
			defer h.Wipe()
			if u, err = a.sum("value", a.values[:a.key.plan.Quorum], root); err == nil {
				defer u.Wipe()
				root.private = h.Add(u)
			}
		}
	}
	if err != nil {
		return nil, fmt.Errorf("rebuild key %x: %w", r.KeyID[:6], err)
	}
	if !g.BaseMul(root.private).Equal(r.Public) {
		root.Wipe()
		return nil, errors.New("the pieces match their public points, and what they give is another key: this is a defect of the program, or of the record")
	}
	return root, nil
}

// sum is Σ λᵢ·vᵢ, in constant time in the values, and wipes what it adds up.
func (a *Assembly) sum(what string, of []held, root *Root) (group.Scalar, error) {
	at := make([]share.Index, len(of))
	for i, h := range of {
		at[i] = h.at
	}
	g := a.key.Record.Public.Group()
	weights, err := share.LagrangeAll(g, at)
	if err != nil {
		return nil, err
	}
	total := g.Scalar(0)
	for i, h := range of {
		part := h.value.Mul(weights[i])
		next := total.Add(part)
		part.Wipe()
		total.Wipe()
		total = next
		root.Pieces = append(root.Pieces, fmt.Sprintf("%s of %s", what, a.key.name(h.id)))
	}
	return total, nil
}
