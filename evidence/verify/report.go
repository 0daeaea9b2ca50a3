package verify

import (
	"cmp"
	"fmt"
	"maps"
	"math/big"
	"reflect"
	"slices"
	"time"

	"github.com/ostraka/ostraka/custody/control"
	"github.com/ostraka/ostraka/custody/statement"
	"github.com/ostraka/ostraka/evidence/tlog"
)

// A Class says what a claim rests on (product.md).
type Class string

// Classes, the strongest first.
const (
	Proved   Class = "proved"   // the verifier itself checked the mathematics
	Attested Class = "attested" // hardware or an independent third party signed it
	Declared Class = "declared" // the operator's own word
)

// A Claim is one thing that an outsider wants to know, and how sure it is.
type Claim struct {
	Subject string `json:"subject"` // "circle", "operator acme", "vault treasury", "address 0x…"
	Claim   string `json:"claim"`
	Class   Class  `json:"class"`
	Basis   string `json:"basis,omitempty"`  // what it rests on
	Failed  string `json:"failed,omitempty"` // why it does not hold; empty: it holds
}

// Report is what the verifier found. It holds only what was published.
type Report struct {
	Time      time.Time    `json:"time"` // that the verifier was given: what is late is late by it
	Failed    bool         `json:"failed"`
	Circle    string       `json:"circle"`
	CircleID  statement.ID `json:"circle_id"` // of version 0 of its roster: by this it is known
	Drill     bool         `json:"drill"`
	Operators []Operator   `json:"operators"`
	Roster    uint64       `json:"roster"` // the newest version
	Charter   Charter      `json:"charter"`
	Vaults    []Vault      `json:"vaults"`
	Logs      []LogReport  `json:"logs"`
	Alarms    []Alarm      `json:"alarms"`
	Claims    []Claim      `json:"claims"`
	Attention []string     `json:"attention"` // what is true and should not stay so
	Unjudged  []string     `json:"unjudged"`  // evidence of places that was handed in and that nothing here could judge

	Assets   []Asset       `json:"assets"`              // that the charter lists
	OnChains []ChainReport `json:"on_chains,omitempty"` // chains that were asked
	Reserves []Reserve     `json:"reserves,omitempty"`

	Lagging []*LagError `json:"-"` // logs to be fetched again: others saw them larger

	fails   map[[2]string]int    // by subject and claim: reasons why it does not hold
	signed  []signedLeaf         // for Reconcile: transactions that logs tell of
	byID    map[[32]byte][]int   // of them
	covered map[string]time.Time // up to when each operator's log is shown
	born    map[string]time.Time // when each vault's statement was made, by its name
	grace   time.Duration
	unread  int    // sources
	safes   []Safe // for Reconcile: that the newest charter names

	Entries    int `json:"entries"`    // of all logs
	Withheld   int `json:"withheld"`   // entries whose bodies were not shown, and should have one
	Signatures int `json:"signatures"` // that were checked
}

// An Operator as the newest roster and its own heartbeats have it.
type Operator struct {
	Name        string    `json:"name"`
	Entity      string    `json:"entity"`
	Identity    string    `json:"identity"` // hex
	Independent bool      `json:"independent"`
	Places      []Place   `json:"places"`
	LastSeen    time.Time `json:"last_seen"` // when another log took its last heartbeat
	Silent      bool      `json:"silent"`    // for longer than two intervals
	Version     string    `json:"version"`
	Binary      string    `json:"binary"`  // SHA-256, hex
	Release     string    `json:"release"` // that maintainers signed and that has this binary; "" if none is known
	Left        bool      `json:"left"`
	Hardware    *Hardware `json:"hardware,omitempty"` // that its node showed others; nil: none counts now
}

// Hardware is what is known of the machine that a node runs on.
type Hardware struct {
	Class       string    `json:"class"` // evidence/vetted: who saw it
	Kind        string    `json:"kind"`
	Name        string    `json:"name"` // of the measurement, in the charter
	Measurement string    `json:"measurement"`
	Device      string    `json:"device"`
	At          time.Time `json:"at"` // when it was judged last
	By          []string  `json:"by"` // operators in whose logs it stands
}

// A Place is where a copy of a share lies, by the charter.
type Place struct {
	Name         string   `json:"name"`
	Level        string   `json:"level"`
	Provider     string   `json:"provider,omitempty"`
	Account      string   `json:"account,omitempty"`
	Region       string   `json:"region,omitempty"`
	Jurisdiction string   `json:"jurisdiction"`
	Hardware     string   `json:"hardware,omitempty"`
	Access       []string `json:"access"`
	Class        Class    `json:"class"`    // of the weakest thing that is said of it
	Attested     []Borne  `json:"attested"` // fields that somebody else's signature bears out
}

// A Borne is a field of a place that somebody else's signature bears out.
type Borne struct {
	Field string    `json:"field"` // provider, account, region, jurisdiction, hardware, access
	By    string    `json:"by"`
	AsOf  time.Time `json:"as_of"` // when it was signed
	Until time.Time `json:"until"` // it counts before then
}

// A Charter as its history has it.
type Charter struct {
	Version  uint64       `json:"version"`
	ID       statement.ID `json:"id"`
	Created  time.Time    `json:"created"`
	Policy   string       `json:"policy"`
	Versions []Version    `json:"versions"`
}

// A Version is one of a charter's.
type Version struct {
	Version uint64       `json:"version"`
	ID      statement.ID `json:"id"`
	Created time.Time    `json:"created"`
	InForce time.Time    `json:"in_force"` // since when, in the first log that says so
}

// A Vault with its keys, addresses, and what it signed.
type Vault struct {
	ID        statement.ID `json:"id"`
	Name      string       `json:"name"`
	Tier      string       `json:"tier"`
	Threshold int          `json:"threshold"`
	Committee []string     `json:"committee"`
	Quorum    int          `json:"quorum"`
	Published bool         `json:"published"` // bodies are shown
	Keys      []Key        `json:"keys"`
	Control   []Figure     `json:"control"`
	Addresses []Address    `json:"addresses"`
	Requests  []Request    `json:"requests"`
	Signed    int          `json:"signed"`
	Refused   int          `json:"refused"`
	Frozen    []Freeze     `json:"frozen"`

	Plan        *RescuePlan `json:"rescue_plan,omitempty"` // for an emergency; nil: there is none
	Emergencies []Emergency `json:"emergencies,omitempty"`
	Coverage    []Coverage  `json:"coverage,omitempty"` // of its keys, by backups

	Protected []Protection `json:"protected,omitempty"` // what chains themselves enforce for it; none: no chain does

	keyed time.Time // when the first of its keys came into force; zero: that is not shown
}

// A Key is one of a vault's root keys.
type Key struct {
	Suite     string    `json:"suite"`
	PublicKey string    `json:"public_key"` // hex
	Epoch     uint64    `json:"epoch"`
	Since     time.Time `json:"since"`
	Epochs    int       `json:"epochs"`
	Holders   []Holder  `json:"holders"`
}

// A Holder of a share.
type Holder struct {
	Operator string    `json:"operator"`
	Proved   time.Time `json:"proved"` // when another log took its last proof; zero: never
	Since    time.Time `json:"since"`  // what the proof names of the others' logs was not there before
}

// A Figure is the control number of one kind of domain.
type Figure struct {
	Kind  string `json:"kind"`
	Steal int    `json:"steal"`
	Halt  int    `json:"halt"`
	Lose  int    `json:"lose"`

	// Attested is what is left of Steal if only what is attested is believed; nil where no evidence was judged, and of organisations.
	Attested *int `json:"attested_steal,omitempty"`
}

// figures puts measured numbers into the report's form.
func figures(measured [control.Kinds]control.Figure) (out []Figure) {
	for k, f := range measured {
		out = append(out, Figure{control.Kind(k).String(), f.Steal.Size, f.Halt.Size, f.Lose.Size, nil})
	}
	return out
}

// An Address that was given out.
type Address struct {
	Address string    `json:"address"`
	Chain   string    `json:"chain"`
	Path    string    `json:"path"`
	Account string    `json:"account"` // department/account
	Given   time.Time `json:"given"`
	Proof   *Control  `json:"proof,omitempty"`  // the newest proof of control
	Named   bool      `json:"named,omitempty"`  // by the reader: the logs do not show it
	Change  bool      `json:"change,omitempty"` // of Bitcoin: nobody gave it out, and change of a signed request goes there
	Chained *OnChain  `json:"on_chain,omitempty"`
}

// A Control is a proof of control of an address.
type Control struct {
	Entity  string    `json:"entity"` // in whose name it is said
	Text    string    `json:"text"`
	Created time.Time `json:"created"`
	Expires time.Time `json:"expires"`
	Height  uint64    `json:"height,omitempty"` // of the block that it speaks of
	Block   string    `json:"block,omitempty"`  // its hash, hex
}

// An OnChain is what was compared with the chain.
type OnChain struct {
	Height    uint64    `json:"height"` // up to which its transactions were compared; of Solana a slot
	Block     string    `json:"block"`
	At        uint64    `json:"at"`      // the block of its balances
	Balance   string    `json:"balance"` // of the chain's own coin, smallest unit
	Balances  []Balance `json:"balances"`
	Nonce     uint64    `json:"nonce"`    // how many nonces its key used; 0 on Bitcoin and Solana, which count none
	Outgoing  int       `json:"outgoing"` // transactions that were found
	Unlogged  []string  `json:"unlogged"` // those that stand in no log, or in fewer than t
	Newer     []string  `json:"newer,omitempty"`
	Unchecked []string  `json:"unchecked,omitempty"` // what could not be compared, and why
	Recovered []string  `json:"recovered,omitempty"` // of Bitcoin: transactions by which the recovery key, outside the vault, took coins
}

// An Asset of the charter.
type Asset struct {
	Name     string `json:"name"`
	Chain    string `json:"chain"`
	Contract string `json:"contract,omitempty"` // empty: the chain's own coin
	Decimals int    `json:"decimals"`
}

// A ChainReport says who was asked about a chain, and as of which block.
type ChainReport struct {
	Chain     string    `json:"chain"`
	Endpoints []string  `json:"endpoints"` // scheme and host
	Height    uint64    `json:"height"`    // up to which transactions were compared; of Solana a slot
	Block     string    `json:"block"`
	Time      time.Time `json:"time"`
	At        uint64    `json:"at"` // the block of the balances
	AtBlock   string    `json:"at_block"`
	From      uint64    `json:"from,omitempty"`   // of Bitcoin: the first block that was read
	Unread    string    `json:"unread,omitempty"` // why it was not read
}

// A Reserve is how much of an asset lies at addresses whose keys signed a statement of control that has not expired.
type Reserve struct {
	Chain     string `json:"chain"`
	Asset     string `json:"asset"`
	Contract  string `json:"contract,omitempty"`
	Amount    string `json:"amount"` // smallest unit
	Units     string `json:"units"`  // people's, if the charter lists the asset
	Addresses int    `json:"addresses"`
	Height    uint64 `json:"height"`
	Block     string `json:"block"`

	sum *big.Int
}

// A Request is an intent and what became of it.
type Request struct {
	ID        statement.ID `json:"id"`
	Created   time.Time    `json:"created"`
	What      string       `json:"what"` // in words; "" if it is withheld
	Initiator string       `json:"initiator,omitempty"`
	Approved  []string     `json:"approved,omitempty"`
	Decisions []Decision   `json:"decisions,omitempty"`
	Signed    string       `json:"signed,omitempty"` // transaction's id, or the proof's
	InLogs    int          `json:"in_logs"`          // of the committee's, that tell of the signature
	At        time.Time    `json:"at"`               // of the signature, in the first log that tells
}

// A Decision of one node.
type Decision struct {
	Operator string `json:"operator"`
	Verdict  string `json:"verdict"`
	Rule     string `json:"rule"`
	Reason   string `json:"reason,omitempty"`
}

// A Freeze that was made.
type Freeze struct {
	Operator string    `json:"operator"`
	Created  time.Time `json:"created"`
	Expires  time.Time `json:"expires"`
	Reason   string    `json:"reason,omitempty"`
	Ended    bool      `json:"ended"`
}

// An Alarm that stands in a log.
type Alarm struct {
	Operator string    `json:"operator"` // whose log
	Time     time.Time `json:"time"`
	What     string    `json:"what"`
}

// A LogReport says how one log stands.
type LogReport struct {
	Operator string     `json:"operator"`
	Source   string     `json:"source"`
	Origin   string     `json:"origin"`
	Size     int64      `json:"size"`
	Root     tlog.Hash  `json:"-"`
	RootText string     `json:"root"`
	Last     time.Time  `json:"last"` // time of the last entry
	Cosigned []Cosigned `json:"cosigned"`
	Signed   string     `json:"checkpoint"` // as it was signed: for who watches
	Copies   []string   `json:"copies"`     // where else it was read
}

// A Cosigned is one cosignature.
type Cosigned struct {
	By      string    `json:"by"` // operator, or the name of a witness outside
	Time    time.Time `json:"time"`
	Outside bool      `json:"outside,omitempty"`
}

// claim adds one that holds.
func (r *Report) claim(class Class, subject, claim, basis string) {
	r.Claims = append(r.Claims, Claim{Subject: subject, Claim: claim, Class: class, Basis: basis})
}

// fail adds one that does not hold.
func (r *Report) fail(subject, claim, reason string) { r.failAs(Proved, subject, claim, "", reason) }

// failAs says besides what it rests on that it does not hold.
func (r *Report) failAs(class Class, subject, claim, basis, reason string) {
	c := Claim{Subject: subject, Claim: claim, Class: class, Basis: basis, Failed: reason}
	if r.Failed = true; r.fails == nil {
		r.fails = map[[2]string]int{}
	}
	switch n := r.fails[[2]string{subject, claim}]; {
	case n < maxFails && slices.Contains(r.Claims, c), n > maxFails:
		return
	case n == maxFails: // a liar makes no report endless
		c.Failed = "and in more ways, which are not listed"
	}
	r.fails[[2]string{subject, claim}]++
	r.Claims = append(r.Claims, c)
}

// maxFails is how many reasons are listed why one claim does not hold.
const maxFails = 20

// Fail adds what the reader found wrong beside the verifier: a place that cannot be read.
func (r *Report) Fail(subject, claim, reason string) {
	r.fail(subject, claim, reason)
	r.finish()
}

// Expect holds operators' identities (hex), by name, to those that the reader has from elsewhere.
func (r *Report) Expect(identities map[string]string) {
	for _, name := range slices.Sorted(maps.Keys(identities)) {
		i := slices.IndexFunc(r.Operators, func(o Operator) bool { return o.Name == name })
		const claim = "its identity is the one that was asked for"
		switch {
		case i < 0:
			r.fail("operator "+name, claim, "no operator of the circle has this name")
		case r.Operators[i].Identity != identities[name]:
			r.fail("operator "+name, claim, fmt.Sprintf("asked for is %s, the roster has %s", identities[name], r.Operators[i].Identity))
		default:
			r.claim(Proved, "operator "+name, claim, "compared with what the reader gave")
		}
	}
	r.finish()
}

// Name adds an address that the reader has from elsewhere, of a vault whose addresses are withheld.
func (r *Report) Name(vault, chain, address string) {
	i := slices.IndexFunc(r.Vaults, func(v Vault) bool { return v.Name == vault })
	if i < 0 {
		r.fail("vault "+vault, "it has address "+address, "the logs show no vault of this name")
		r.finish()
		return
	}
	v := &r.Vaults[i]
	if slices.ContainsFunc(v.Addresses, func(a Address) bool { return a.Address == address && a.Chain == chain }) {
		return
	}
	v.Addresses = append(v.Addresses, Address{Address: address, Chain: chain, Named: true})
	r.claim(Declared, "vault "+vault, fmt.Sprintf("%s on %s is an address of it", address, chain), "the reader's own word: the logs do not show it")
}

// attend adds what is true and should not stay so.
func (r *Report) attend(what string) { r.Attention = append(r.Attention, what) }

// finish puts what failed first, and the rest as it was found. No list of it is null in JSON.
func (r *Report) finish() {
	filled(reflect.ValueOf(r).Elem())
	slices.SortStableFunc(r.Claims, func(a, b Claim) int {
		order := func(c Claim) int {
			if c.Failed != "" {
				return 0
			}
			return 1
		}
		return cmp.Compare(order(a), order(b))
	})
}

// filled makes lists that have nothing in them empty ones.
func filled(v reflect.Value) {
	switch v.Kind() {
	case reflect.Pointer:
		if !v.IsNil() {
			filled(v.Elem())
		}
	case reflect.Struct:
		for i := range v.NumField() {
			if v.Type().Field(i).IsExported() {
				filled(v.Field(i))
			}
		}
	case reflect.Slice:
		if v.IsNil() {
			v.Set(reflect.MakeSlice(v.Type(), 0, 0))
		}
		if k := v.Type().Elem().Kind(); k == reflect.Struct || k == reflect.Pointer {
			for i := range v.Len() {
				filled(v.Index(i))
			}
		}
	}
}

// Proved says whether every holder of every key has proved its share.
func (r *Report) Proved() bool {
	keys := 0
	for _, v := range r.Vaults {
		for _, k := range v.Keys {
			keys++
			for _, h := range k.Holders {
				if h.Proved.IsZero() {
					return false
				}
			}
		}
	}
	return keys > 0
}

// Signed says whether some signature stands in the logs of so many holders.
func (r *Report) Signed(holders int) bool {
	return slices.ContainsFunc(r.Vaults, func(v Vault) bool {
		return slices.ContainsFunc(v.Requests, func(q Request) bool { return q.InLogs >= holders })
	})
}
