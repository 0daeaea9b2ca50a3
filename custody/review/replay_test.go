package review

import (
	"math/big"
	"strings"
	"testing"
	"time"

	"github.com/ostraka/ostraka/chain/effect"
	"github.com/ostraka/ostraka/custody/charter"
	"github.com/ostraka/ostraka/custody/signet"
	"github.com/ostraka/ostraka/custody/statement"
)

// bank is a charter as far as a replay looks at it.
func bank(rules string) charter.Document {
	return charter.Document{
		People: []charter.Human{{Name: "alice", Organisation: "acme", Keys: make([]signet.Key, 1)}, {Name: "bob", Organisation: "acme", Keys: make([]signet.Key, 1)}, {Name: "carol", Organisation: "bolt", Keys: make([]signet.Key, 1)}},
		Groups: []charter.Group{{Name: "finance", People: []string{"alice", "bob", "carol"}}},
		Assets: []charter.Asset{{Name: "eth", Chain: "eip155:1", Decimals: 18, Unit: 18}},
		Vaults: []charter.Blueprint{{Name: "treasury", Tier: "warm", Chains: []string{"eip155:1"}, Initiators: []string{"finance"}, Approvers: []string{"finance"}, Quorum: 1}},
		Policy: rules,
	}
}

const dayLimit = `
	@id("fee") permit (principal, action == Action::"fee", resource);
	@id("day") permit (principal, action in Action::"move", resource) when { context.total.day <= 10 };
	@id("proof") permit (principal, action == Action::"proof", resource);
`

// pays moves whole ethers, without a fee.
func pays(n byte, at string, amount int64, was Was) Past {
	when, err := time.Parse(time.RFC3339, at)
	if err != nil {
		panic(err)
	}
	wei := new(big.Int).Mul(big.NewInt(amount), big.NewInt(1e18))
	return Past{
		ID: statement.ID{n}, Vault: "treasury", Purpose: "transaction", Chain: "eip155:1", Initiator: "alice", Approved: []string{"bob"}, At: when, Until: when.Add(time.Hour),
		Does: []effect.Effect{{Operation: effect.Transfer, Chain: "eip155:1", Amount: wei}, {Operation: effect.Fee, Chain: "eip155:1", Amount: new(big.Int)}}, Was: was,
	}
}

func TestReplay(t *testing.T) {
	with := func(p Past, change func(*Past)) Past { change(&p); return p }
	for name, c := range map[string]struct {
		rules  string
		change func(*charter.Document)
		past   []Past
		would  string // of each in order of time
		was    int64  // ethers
		now    int64
	}{
		"nothing changes":                 {dayLimit, nil, []Past{pays(1, "2026-11-27T10:00:00Z", 10, Signed)}, "-", 10, 10},
		"the second breaks the limit":     {dayLimit, nil, []Past{pays(2, "2026-11-27T11:00:00Z", 5, Signed), pays(1, "2026-11-27T10:00:00Z", 6, Signed)}, "- wait", 11, 6},
		"the window ends":                 {dayLimit, nil, []Past{pays(1, "2026-11-27T10:00:00Z", 6, Signed), pays(2, "2026-11-28T10:00:00Z", 5, Signed)}, "- -", 11, 11},
		"what is denied is not given out": {dayLimit, nil, []Past{pays(1, "2026-11-27T10:00:00Z", 11, Signed), pays(2, "2026-11-27T11:00:00Z", 10, Signed)}, "denied -", 21, 10},
		"what was denied is allowed":      {dayLimit, nil, []Past{pays(1, "2026-11-27T10:00:00Z", 7, Denied), pays(2, "2026-11-27T11:00:00Z", 7, Signed)}, "allowed wait", 7, 7},
		"what waited is allowed":          {dayLimit, nil, []Past{pays(1, "2026-11-27T10:00:00Z", 7, Unsigned)}, "allowed", 0, 7},
		"denied by another rule":          {dayLimit, nil, []Past{pays(1, "2026-11-27T10:00:00Z", 7, Otherwise)}, "-", 0, 0},
		"fewer approvals":                 {dayLimit, func(d *charter.Document) { d.Vaults[0].Quorum = 2 }, []Past{pays(1, "2026-11-27T10:00:00Z", 1, Signed)}, "wait", 1, 0},
		"of one organisation":             {dayLimit, func(d *charter.Document) { d.Vaults[0].Organisations = 2 }, []Past{pays(1, "2026-11-27T10:00:00Z", 1, Signed)}, "wait", 1, 0},
		"who proposes does not count":     {dayLimit, nil, []Past{with(pays(1, "2026-11-27T10:00:00Z", 1, Signed), func(p *Past) { p.Approved = []string{"alice"} })}, "wait", 1, 0},
		"no initiator":                    {dayLimit, nil, []Past{with(pays(1, "2026-11-27T10:00:00Z", 1, Signed), func(p *Past) { p.Initiator = "dana" })}, "denied", 1, 0},
		"a group that had expired": {dayLimit, func(d *charter.Document) { d.Groups[0].Expires = time.Date(2026, 11, 27, 11, 0, 0, 0, time.UTC) },
			[]Past{pays(1, "2026-11-27T10:00:00Z", 1, Signed), pays(2, "2026-11-27T11:00:00Z", 1, Signed)}, "- denied", 2, 1},
		"another vault": {dayLimit, nil, []Past{with(pays(1, "2026-11-27T10:00:00Z", 1, Signed), func(p *Past) { p.Vault = "reserve" })}, "denied", 1, 0},
		"another chain": {dayLimit, nil, []Past{with(pays(1, "2026-11-27T10:00:00Z", 1, Signed), func(p *Past) { p.Chain = "eip155:5" })}, "denied", 1, 0},
		"no such asset": {dayLimit, func(d *charter.Document) { d.Assets[0].Chain = "eip155:5" }, []Past{pays(1, "2026-11-27T10:00:00Z", 1, Signed)}, "denied", 1, 0},
		"a proof":       {dayLimit, nil, []Past{with(pays(1, "2026-11-27T10:00:00Z", 1, Denied), func(p *Past) { p.Does, p.Proof, p.Purpose = nil, "0x00", "proof" })}, "allowed", 0, 0},
		"not decoded":   {dayLimit, nil, []Past{with(pays(1, "2026-11-27T10:00:00Z", 1, Denied), func(p *Past) { p.Does = nil })}, "-", 0, 0},
		"at a later hour": {
			strings.ReplaceAll(dayLimit, "context.total.day <= 10", "context.hour >= 11"), nil,
			[]Past{with(pays(1, "2026-11-27T10:00:00Z", 1, Signed), func(p *Past) { p.Until = p.At.Add(2 * time.Hour) }), pays(2, "2026-11-27T09:00:00Z", 1, Signed)}, "denied wait", 2, 0,
		},
	} {
		d := bank(c.rules)
		if c.change != nil {
			c.change(&d)
		}
		all, err := Replay(d, c.past)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		var would []string
		for _, o := range all {
			if o.Would == "" {
				o.Would = "-"
			}
			would = append(would, o.Would)
		}
		if got := strings.Join(would, " "); got != c.would {
			t.Errorf("%s: %s, want %s: %+v", name, got, c.would, all)
		}
		var was, now int64
		for _, s := range SumsOf(all) {
			was, now = new(big.Int).Quo(s.Was, big.NewInt(1e18)).Int64(), new(big.Int).Quo(s.Would, big.NewInt(1e18)).Int64()
		}
		if was != c.was || now != c.now {
			t.Errorf("%s: %d went out, %d would have; want %d, %d", name, was, now, c.was, c.now)
		}
	}
	if _, err := Replay(bank(`@id("x") permit (principal, action, resource);`), nil); err == nil {
		t.Error("a policy that permits everything was tried")
	}
}
