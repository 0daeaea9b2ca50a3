package charter

import (
	"bytes"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/ostraka/ostraka/custody/signet"
	"github.com/ostraka/ostraka/custody/statement"
)

// A Reshare gives a vault's keys to another committee, or another threshold. The keys stay: the officers who sign it pin
// them, and a newcomer's officer thereby says what its node shall believe (protocols.md 1.2).
type Reshare struct {
	ID        statement.ID // of its statement; zero in a draft
	Roster    statement.ID // the version of the roster by whose officers it is signed: the newest when it is made
	Vault     statement.ID
	Number    uint64       // from 1; a higher one takes the place of all lower ones
	Previous  statement.ID // under which the keys are held when it is made: the vault statement or a reshare
	Threshold int
	Committee []string // operators' names, 2 to 16, ascending
	Keys      []PinnedKey
	Reason    string // may be empty
	Created   time.Time
}

// A PinnedKey is what officers say a vault's key of one suite is.
type PinnedKey struct {
	Suite     string
	Key       [32]byte // keyID
	PublicKey []byte   // the suite's point
	Anchor    [32]byte // eh of the record in force when the statement was made: newcomers' chains begin there
}

// Statement writes the reshare, its lists in ascending order, and checks it.
func (r Reshare) Statement(salt statement.Salt) (statement.Statement, error) {
	r = r.sorted()
	if err := r.Validate(); err != nil {
		return statement.Statement{}, err
	}
	var b statement.Block
	b = b.AddID("roster", r.Roster).AddID("vault", r.Vault).AddUint("number", r.Number).AddID("previous", r.Previous)
	b = b.AddUint("threshold", uint64(r.Threshold)).AddList("member", r.Committee)
	for _, k := range r.Keys {
		b = b.AddBlock("suite", k.Suite, statement.Block{}.AddHex("key", k.Key[:]).AddHex("public-key", k.PublicKey).AddHex("anchor", k.Anchor[:]))
	}
	if r.Reason != "" {
		b = b.Add("reason", r.Reason)
	}
	return statement.Build(statement.Reshare, b.AddTime("created", r.Created), salt)
}

// ReshareOf gives a reshare statement its meaning and checks it. Vault.After checks the rest.
func ReshareOf(s statement.Statement) (Reshare, error) {
	if err := s.Require(statement.Reshare); err != nil {
		return Reshare{}, err
	}
	f := s.Fields()
	r := Reshare{
		ID: s.ID(), Roster: f.ID("roster"), Vault: f.ID("vault"), Number: f.Uint("number"), Previous: f.ID("previous"),
		Threshold: int(f.Uint("threshold")), Committee: f.All("member"), Reason: f.Get("reason"), Created: f.Time("created"),
	}
	for _, k := range f.Each("suite") {
		r.Keys = append(r.Keys, PinnedKey{k.Value, k.Block.ID("key"), k.Block.Hex("public-key"), k.Block.ID("anchor")})
	}
	return r, r.Validate()
}

// Validate checks what the statement's form cannot.
func (r Reshare) Validate() error {
	if err := r.validate(); err != nil {
		return fmt.Errorf("reshare %d of vault %s: %w", r.Number, r.Vault.Short(), err)
	}
	return nil
}

func (r Reshare) validate() error {
	n := len(r.Committee)
	switch {
	case r.Number < 1:
		return errors.New("number: is 0; the first is 1")
	case r.Previous.IsZero() || r.Vault.IsZero() || r.Roster.IsZero():
		return errors.New("roster, vault or previous: is zero")
	case (r.Number == 1) && r.Previous != r.Vault:
		return errors.New("previous: the first reshare follows the vault statement")
	case n < 2 || n > statement.MaxOperators:
		return fmt.Errorf("member: %d operators are listed, 2 to %d are allowed", n, statement.MaxOperators)
	case r.Threshold < 2 || r.Threshold > n:
		return fmt.Errorf("threshold: %d is asked of %d operators; it must be 2 to %d", r.Threshold, n, n)
	}
	if err := ascending(r.Committee, same); err != nil {
		return fmt.Errorf("member: %w", err)
	}
	if err := ascending(r.Keys, func(k PinnedKey) string { return k.Suite }); err != nil {
		return fmt.Errorf("suite: %w", err)
	}
	for _, k := range r.Keys {
		if want := pointSize(k.Suite); len(k.PublicKey) != want {
			return fmt.Errorf("public-key: has %d bytes, %s has %d", len(k.PublicKey), k.Suite, want)
		}
	}
	return nil
}

// Pinned is the key of a suite.
func (r Reshare) Pinned(suite string) (PinnedKey, bool) {
	for _, k := range r.Keys {
		if k.Suite == suite {
			return k, true
		}
	}
	return PinnedKey{}, false
}

// SameAs names the first field in which two reshares differ apart from their time, the moment that their anchors are of, and
// the reason that nobody gave; "" says that they are the same.
func (r Reshare) SameAs(o Reshare) (difference string) {
	r, o = r.sorted(), o.sorted()
	for _, f := range []struct {
		name string
		same bool
	}{
		{"roster", r.Roster == o.Roster},
		{"vault", r.Vault == o.Vault},
		{"number", r.Number == o.Number},
		{"previous", r.Previous == o.Previous},
		{"threshold", r.Threshold == o.Threshold},
		{"committee", slices.Equal(r.Committee, o.Committee)},
		{"suites", slices.EqualFunc(r.Keys, o.Keys, func(a, b PinnedKey) bool { return a.Suite == b.Suite })},
		{"public-key", slices.EqualFunc(r.Keys, o.Keys, func(a, b PinnedKey) bool { return a.Key == b.Key && bytes.Equal(a.PublicKey, b.PublicKey) })},
		{"reason", r.Reason == o.Reason || r.Reason == "" || o.Reason == ""},
	} {
		if !f.same {
			return f.name
		}
	}
	return ""
}

func (r Reshare) sorted() Reshare {
	r.Committee = slices.Sorted(slices.Values(r.Committee))
	r.Keys = slices.SortedFunc(slices.Values(r.Keys), func(a, b PinnedKey) int { return bytes.Compare([]byte(a.Suite), []byte(b.Suite)) })
	return r
}

// CheckVault checks a reshare against the vault whose it is, and the version of the roster that it names.
func (r Reshare) CheckVault(v Vault, roster Roster) error {
	var suites []string
	for _, k := range r.Keys {
		suites = append(suites, k.Suite)
	}
	switch {
	case r.Vault != v.ID || r.Roster != roster.ID:
		return fmt.Errorf("reshare of vault %s: it is for another vault, or under another roster", v.Name)
	case !slices.Equal(suites, v.Suites):
		return fmt.Errorf("reshare of vault %s: suites: it lists %v, the vault has %v", v.Name, suites, v.Suites)
	}
	for _, name := range r.Committee {
		if _, ok := roster.Operator(name); !ok {
			return fmt.Errorf("reshare of vault %s: member: %s is no operator of circle %q", v.Name, name, roster.Circle)
		}
	}
	return nil
}

// After is the vault as it is held once the reshare is carried out.
func (v Vault) After(r Reshare) Vault {
	v.Committee, v.Threshold = slices.Clone(r.Committee), r.Threshold
	return v
}

// Changes says whether a reshare would change how a vault is held.
func (r Reshare) Changes(before Vault) bool {
	return r.Threshold != before.Threshold || !slices.Equal(r.Committee, slices.Sorted(slices.Values(before.Committee)))
}

// NeedOf is how many operators of the committee before must agree: its threshold, or all of them if the threshold falls, or
// the threshold's number alone could cut it (protocols.md 1.2).
func (r Reshare) NeedOf(before Vault) int {
	if r.Threshold < before.Threshold {
		return len(before.Committee)
	}
	return before.Threshold
}

// Concerned lists the operators whose officers may sign a reshare: those of the new committee and of the one before, as its
// version of the roster lists them. Who has left the circle says nothing more.
func (r Reshare) Concerned(before Vault, roster Roster) (by []Acceptor) {
	for _, o := range roster.Operators {
		if slices.Contains(r.Committee, o.Name) || slices.Contains(before.Committee, o.Name) {
			by = append(by, Acceptor{o.Name, o.Officers})
		}
	}
	return by
}

// Lacking says who must still sign: all of the new committee, then, if that does not suffice, so many more of the one before.
func (r Reshare) Lacking(before Vault, signed map[string][]byte) (members []string, more int) {
	for _, name := range r.Committee {
		if signed[name] == nil {
			members = append(members, name)
		}
	}
	return members, max(0, r.NeedOf(before)-agreeing(before, signed))
}

func agreeing(before Vault, signed map[string][]byte) (n int) {
	for _, name := range before.Committee {
		if signed[name] != nil {
			n++
		}
	}
	return n
}

// VerifyReshare checks every signature anew, and that officers of all operators of the new committee signed, and of enough of
// the committee before: before is the vault as the statement's previous one says, roster the version that the statement
// names. Nobody else may have signed.
func (a Accepted) VerifyReshare(before Vault, roster Roster) (Reshare, error) {
	r, err := ReshareOf(a.Statement)
	if err != nil {
		return r, err
	}
	if err := r.CheckVault(before, roster); err != nil {
		return r, err
	}
	if members, more := r.Lacking(before, a.Signatures); len(members) > 0 || more > 0 {
		return r, fmt.Errorf("%s: %w: missing %v of the new committee, and %d more of the one before", a.name(), ErrNotAccepted, members, more)
	}
	by := r.Concerned(before, roster)
	for _, name := range slices.Sorted(maps.Keys(a.Signatures)) {
		i := slices.IndexFunc(by, func(who Acceptor) bool { return who.Operator == name })
		if i < 0 {
			return r, fmt.Errorf("%s: operator %s signed, and is in neither committee", a.name(), name)
		}
		sig, err := signet.Parse(a.Signatures[name])
		if err == nil {
			err = a.verify(by[i], sig)
		}
		if err != nil {
			return r, fmt.Errorf("accept %s: operator %s: %w", a.name(), name, err)
		}
	}
	return r, nil
}

// A Succession is a vault's statement and its complete reshares, each verified against the one that it follows.
type Succession struct {
	vault Vault
	chain Chain
	after map[statement.ID]held // by id of statement
	all   []Plan
}

// held is a vault as it is held under a statement, and the version of the roster that the statement names.
type held struct {
	Vault
	version uint64
}

// A Plan is a complete reshare and the operators whose officers signed it.
type Plan struct {
	Reshare
	Signed []string // ascending; without those whose officer is none any more
	keys   map[string]signet.Key

	rescued bool
}

// Agreed says whether the present officers of all new members signed, and those of enough who hold the vault now. A reshare may
// follow one that was never carried out: its committee's word is not that of those who hold the shares.
func (p Plan) Agreed(now Vault) bool {
	signed := map[string][]byte{}
	for _, name := range p.Signed {
		signed[name] = []byte{}
	}
	members, more := p.Lacking(now, signed)
	return len(members) == 0 && more == 0
}

// NewSuccession begins with the vault's own statement.
func NewSuccession(v Vault, c Chain) *Succession {
	own, _ := c.Version(v.Roster)
	return &Succession{vault: v, chain: c, after: map[statement.ID]held{v.ID: {v, own.Version}}}
}

// Follow takes a chain that has grown. What an officer signed who is none any more counts no longer, where a reshare is still
// to be carried out.
func (s *Succession) Follow(c Chain) {
	s.chain = c
	for i := range s.all {
		s.all[i].Signed = s.still(s.all[i].keys)
	}
}

// still lists the operators, ascending, whose officers' keys these are today.
func (s *Succession) still(keys map[string]signet.Key) (names []string) {
	for _, name := range slices.Sorted(maps.Keys(keys)) {
		if s.chain.Current(name, keys[name]) {
			names = append(names, name)
		}
	}
	return names
}

// ErrNoPrevious says that the statement that a reshare follows is not known, or not complete.
var ErrNoPrevious = errors.New("the statement or the version of the roster that it follows is not known, or not complete")

// Before is the vault as a reshare's previous statement says, and the version of the roster whose officers sign it.
func (s *Succession) Before(r Reshare) (Vault, Roster, error) {
	before, ok := s.after[r.Previous]
	roster, known := s.chain.Version(r.Roster)
	if !ok || !known {
		return Vault{}, Roster{}, fmt.Errorf("reshare %d of vault %s: %w", r.Number, s.vault.Name, ErrNoPrevious)
	}
	// Else officers who were replaced could sign for ever.
	if roster.Version < before.version {
		return Vault{}, Roster{}, fmt.Errorf("reshare %d of vault %s: roster: it is under version %d of the roster, what it follows is under %d", r.Number, s.vault.Name, roster.Version, before.version)
	}
	for _, p := range s.all {
		if p.ID == r.Previous && p.Number >= r.Number {
			return Vault{}, Roster{}, fmt.Errorf("reshare %d of vault %s: previous: it follows number %d", r.Number, s.vault.Name, p.Number)
		}
	}
	return before.Vault, roster, nil
}

// Add takes a complete reshare, or the same one with more signatures.
func (s *Succession) Add(a Accepted) error {
	r, err := ReshareOf(a.Statement)
	if err != nil {
		return err
	}
	before, roster, err := s.Before(r)
	if err != nil {
		return err
	}
	if _, err := a.VerifyReshare(before, roster); err != nil {
		return err
	}
	s.after[r.ID] = held{s.vault.After(r), roster.Version}
	p := Plan{Reshare: r, keys: map[string]signet.Key{}}
	for name, raw := range a.Signatures {
		sig, err := signet.Parse(raw)
		if err != nil {
			return err
		}
		p.keys[name] = sig.Key()
	}
	p.Signed = s.still(p.keys)
	if i := slices.IndexFunc(s.all, func(o Plan) bool { return o.ID == r.ID }); i >= 0 {
		s.all[i] = p
		return nil
	}
	s.insert(p)
	return nil
}

func (s *Succession) insert(p Plan) {
	s.all = append(s.all, p)
	slices.SortFunc(s.all, func(a, b Plan) int {
		if a.Number != b.Number {
			return int(min(max(int64(a.Number)-int64(b.Number), -1), 1))
		}
		return bytes.Compare(a.ID[:], b.ID[:])
	})
}

// An Emergency is a committee that an emergency made (spec/sos), and the one that held the key before it.
type Emergency struct {
	Activation      statement.ID
	Threshold, To   int // before and after
	Before, Members []string
}

// Rescued adds one: the activation stands where a reshare would, and follows the statement under which the keys were held before. Its number is the next, so that
// no reshare which was signed before leads on from there. Where that statement is not known yet it is added in vain, and again once it is.
func (s *Succession) Rescued(x Emergency) {
	from, ok := s.HeldBy(x.Threshold, x.Before)
	if _, known := s.after[x.Activation]; known || !ok {
		return
	}
	r := Reshare{ID: x.Activation, Vault: s.vault.ID, Number: from.Number + 1, Previous: from.ID, Threshold: x.To, Committee: slices.Sorted(slices.Values(x.Members))}
	s.after[x.Activation] = held{s.vault.After(r), s.after[from.ID].version}
	s.insert(Plan{Reshare: r, rescued: true})
}

// Rescued says whether an emergency made a plan: no officer signed it, and no statement of it is shown.
func (p Plan) Rescued() bool { return p.rescued }

// Plans lists the complete reshares, by number; of two with one number the one with the lower id comes first.
func (s *Succession) Plans() []Plan { return slices.Clone(s.all) }

// NumberOf is the number of a complete reshare; 0 for the vault's own statement, and for what is not known.
func (s *Succession) NumberOf(id statement.ID) uint64 {
	for _, p := range s.all {
		if p.ID == id {
			return p.Number
		}
	}
	return 0
}

// Under is the vault as it is held under its own statement or a complete reshare.
func (s *Succession) Under(id statement.ID) (Vault, bool) {
	h, ok := s.after[id]
	return h.Vault, ok
}

// Line lists a statement and all that it follows from, back to the vault's own.
func (s *Succession) Line(id statement.ID) (line []statement.ID) {
	previous := map[statement.ID]statement.ID{}
	for _, p := range s.all {
		previous[p.ID] = p.Previous // its number is lower, so there is an end
	}
	for ; !id.IsZero(); id = previous[id] {
		line = append(line, id)
	}
	return line
}

// HeldBy finds the statement that holds a committee and threshold to what officers signed: the reshare with the highest
// number, or the vault's own, which is given as a Plan without number. ok is false if nobody sanctioned them.
func (s *Succession) HeldBy(threshold int, committee []string) (p Plan, ok bool) {
	committee = slices.Sorted(slices.Values(committee))
	for i := len(s.all) - 1; i >= 0; i-- {
		if p := s.all[i]; p.Threshold == threshold && slices.Equal(p.Committee, committee) {
			return p, true
		}
	}
	own := Plan{Reshare: Reshare{ID: s.vault.ID, Vault: s.vault.ID, Threshold: s.vault.Threshold, Committee: s.vault.Committee}}
	return own, s.vault.Threshold == threshold && slices.Equal(s.vault.Committee, committee)
}
