package rehearse

import (
	"context"
	"encoding/json"
	"fmt"
	"math/big"
	"path/filepath"
	"regexp"
	"strings"
	"time"

	"github.com/ostraka/ostraka/chain/evm"
	"github.com/ostraka/ostraka/cmd/ostraka/local"
	"github.com/ostraka/ostraka/custody/charter"
	"github.com/ostraka/ostraka/node/rpc"
)

var quadriga = Story{
	Name:     "quadriga",
	Incident: "December 2018, about 190 million dollars owed: one man alone held every key of an exchange, and died; the wallets turned out to be nearly empty",
	tell:     tellQuadriga,
}

func tellQuadriga(ctx context.Context, t *tale) error {
	if err := t.oneMan(ctx); err != nil {
		return err
	}
	if err := t.openGuarded(ctx, true); err != nil {
		return err
	}
	if err := t.cutAll(ctx); err != nil {
		return err
	}
	return t.reserves(ctx)
}

var (
	guardianPerson = regexp.MustCompile(`(?m)^    person: holder-(\d)$`)
	rescueNumber   = regexp.MustCompile(`(?m)^      guardians: \d+ `)
	quorumLine     = regexp.MustCompile(`(?m)^    quorum: \d+.*$`)
)

// oneMan: charters in which one person reaches more than they may, and what refuses each.
func (t *tale) oneMan(ctx context.Context) error {
	s, err := standard(3)
	if err != nil {
		return err
	}
	file, err := s.File()
	if err != nil {
		return err
	}
	safes := file
	for _, o := range s.Operators[1:] {
		place := fmt.Sprintf("        access: [%q]\n", o.Admin)
		safes = strings.Replace(safes, place, place+fmt.Sprintf("      - name: safe\n        level: export\n        provider: %q\n        account: %q\n        region: %q\n        jurisdiction: %q\n        hardware: stick\n        access: [admin-a]\n", o.Provider, o.Account+"-safe", o.Region, o.Jurisdiction), 1)
	}
	both := rescueNumber.ReplaceAllString(file, "      guardians: 2 ")
	both = strings.Replace(strings.Replace(both, "    person: holder-1\n", "    person: admin-a\n", 1), "    person: holder-2\n", "    person: admin-b\n", 1)
	alone := quorumLine.ReplaceAllString(file, "    quorum: 1\n    initiator-approves: true")
	for _, try := range []struct {
		what, file, number, who string
		size                    int
		rules                   []string
	}{
		{"admin-a has one machine, and the backups of the two others lie in his safe", safes, "person", "admin-a", 1, []string{"steal/organisation", "steal/person"}},
		{"two operators' officers are guardians too, and two guardians with two operators bring the key back", both, "person", "admin-a, admin-b", 2, []string{"steal/person"}},
		{"who asks for a payment may approve it, and one approval is enough", alone, "", "", 0, []string{"spend/person"}},
	} {
		folder, err := t.writeCharter(try.file, charter.StartPolicy)
		if err != nil {
			return err
		}
		l, err := t.lintRefuses(ctx, try.what, folder, try.rules...)
		if err != nil {
			return err
		}
		if try.number == "" {
			continue
		}
		n := l.number(try.number)
		t.step(Step{
			What:    "who that is, and how few",
			Outcome: fmt.Sprintf("%d of 3 that there should be: %s", n[0], l.stealer(try.number)), Held: n[0] == try.size && l.stealer(try.number) == try.who,
		})
	}
	if err := t.manyKeys(ctx, file); err != nil {
		return err
	}
	folder, err := t.writeCharter(file, charter.StartPolicy)
	if err != nil {
		return err
	}
	return t.lintPasses(ctx, "three operators, five guardians and three people who have nothing in common; two approve", folder, [3]int{3, 1, 2})
}

// manyKeys: one person with the keys of three guardians.
func (t *tale) manyKeys(ctx context.Context, file string) error {
	folder, err := t.writeCharter(guardianPerson.ReplaceAllString(file, "    person: holder-1"), charter.StartPolicy)
	if err != nil {
		return err
	}
	r, err := t.run(ctx, "charter", "lint", folder)
	if err != nil {
		return err
	}
	x := Step{What: "holder-1 has the keys of all guardians: `ostraka charter lint`", Outcome: fmt.Sprintf("exit %d: %s", r.code, shorten(strings.ReplaceAll(r.said(), folder+"/", ""))), Held: r.code != 0 && strings.Contains(r.errs, "holder-1")}
	if x.Held {
		x.Rule = "one person, one guardian"
	}
	t.step(x)
	return nil
}

// claimed is what the exchange says it has, and really what it has.
var (
	claimed = milliether(250_000)
	held    = milliether(10_000)
	taken   = milliether(9_900)
)

// reserves: the vault signs what its owner says; the chain says what is there.
func (t *tale) reserves(ctx context.Context) error {
	text := "We hold " + evm.FormatUnits(claimed, evm.EtherDecimals) + " ether for our customers"
	if t.endpoint == "" {
		if _, err := t.proves(ctx, "the exchange has its vault sign what it says it has", text); err != nil {
			return err
		}
		if _, err := t.outsider(ctx, func(outside) bool { return true }); err != nil {
			return err
		}
		t.step(Step{What: "what lies at the address", Outcome: "is not looked at: no chain was given (--eth-rpc)", Held: true})
		return t.pays(ctx, "alice asks for a payment; bob and carol approve it, and all three operators sign")
	}
	address, err := t.first(ctx)
	if err != nil {
		return err
	}
	if err := t.fund(ctx, address, held); err != nil {
		return err
	}
	if _, err := t.proves(ctx, "the exchange has its vault sign what it says it has, as of the newest block", text, "--height", "latest"); err != nil {
		return err
	}
	if err := t.gap(ctx, "anybody takes the circle's disclosure, and asks the chain", held); err != nil {
		return err
	}
	if err := t.emptied(ctx); err != nil {
		return err
	}
	return t.gap(ctx, "the same look after that", nil)
}

// outside is what `verify --json` finds.
type outside struct {
	Failed   bool
	Claims   []struct{ Subject, Claim, Failed string }
	Reserves []struct{ Asset, Amount string }
	Vaults   []struct {
		Requests    []struct{ State string }
		Emergencies []struct{ State string }
		Addresses   []struct {
			Address string
			OnChain *struct{ Outgoing int } `json:"on_chain"`
		}
	}
	code int
	errs string
}

// outsider publishes the circle's disclosure, and verifies it as anybody can, until it shows what is waited for.
func (t *tale) outsider(ctx context.Context, done func(outside) bool) (out outside, err error) {
	folder, err := t.folder()
	if err != nil {
		return out, err
	}
	bundle := filepath.Join(folder, "disclosure")
	_, err = poll(ctx, awhile, func() (bool, error) {
		if r, err := t.run(ctx, "disclose", "publish", "-o", bundle); err != nil || r.code != 0 && r.code != codeUnverified {
			return false, fmt.Errorf("`ostraka disclose publish`: exit %d: %s: %w", r.code, r.said(), err)
		}
		args := []string{"verify", bundle, "--json"}
		if t.endpoint != "" {
			args = append(args, "--rpc", chainID+"="+t.endpoint)
		}
		r, err := t.run(ctx, args...)
		if err != nil {
			return false, err
		}
		out = outside{code: r.code, errs: r.errs}
		if err := json.Unmarshal([]byte(r.out), &out); err != nil {
			return false, fmt.Errorf("`ostraka verify`: exit %d: %s", r.code, r.said())
		}
		if done(out) {
			return true, nil
		}
		return false, sleep(ctx, time.Second) // logs are shown as of their last checkpoint
	})
	return out, err
}

// gap is a step: what was claimed, and what the chain shows at addresses whose key signed. A want of nil: less than a hundredth of what was claimed.
func (t *tale) gap(ctx context.Context, what string, want *big.Int) error {
	small := new(big.Int).Div(claimed, big.NewInt(100))
	ether := func(out outside) *big.Int {
		for _, r := range out.Reserves {
			if n, ok := new(big.Int).SetString(r.Amount, 10); ok && strings.EqualFold(r.Asset, "eth") {
				return n
			}
		}
		return nil
	}
	as := func(out outside) bool {
		n := ether(out)
		return n != nil && (want != nil && n.Cmp(want) == 0 || want == nil && n.Cmp(small) < 0)
	}
	// A chain shows a transaction at once, and a log its entry with the next checkpoint only: until then, it stands in no log.
	holds := func(out outside) bool { return out.code == 0 && !out.Failed && as(out) }
	out, err := t.outsider(ctx, holds)
	if err != nil {
		return err
	}
	x := Step{What: what + ": `ostraka disclose publish`, then `ostraka verify --rpc`", Held: holds(out)}
	if n := ether(out); n != nil {
		x.Outcome = fmt.Sprintf("exit %d: %s ether lie there; %s were claimed", out.code, evm.FormatUnits(n, evm.EtherDecimals), evm.FormatUnits(claimed, evm.EtherDecimals))
	} else {
		x.Outcome = fmt.Sprintf("exit %d: no reserves are shown: %s", out.code, shorten(out.errs))
	}
	if x.Held {
		x.Rule = "reserves"
	}
	t.step(x)
	return nil
}

// fund has the development chain send ether.
func (t *tale) fund(ctx context.Context, address string, amount *big.Int) error {
	c, err := rpc.NewEVM(t.endpoint, rpc.Options{})
	if err != nil {
		return err
	}
	accounts, err := c.Accounts(ctx)
	if err != nil || len(accounts) == 0 {
		return fmt.Errorf("the endpoint %s has no unlocked account: %w", c.Endpoint(), err)
	}
	to, err := evm.ParseAddress(address)
	if err != nil {
		return err
	}
	hash, err := c.SendTransaction(ctx, rpc.Message{From: accounts[0], To: to, Value: amount})
	if err != nil {
		return fmt.Errorf("fund %s: %w", address, err)
	}
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	_, err = c.Wait(ctx, hash, 1, tick.C)
	return err
}

// emptied: nearly all of it leaves, by people's word, through every operator and before everybody's eyes.
func (t *tale) emptied(ctx context.Context) error {
	key := t.circle.KeyFile(alice)
	r, err := t.must(ctx, "tx", "propose", "--vault", local.VaultName, "--account", account, "--to", payee, "--amount", evm.FormatUnits(taken, evm.EtherDecimals), "--no-wait", "--json", "--key", key)
	if err != nil {
		return err
	}
	var doc struct {
		ID     string
		State  string
		Signed *struct{ Hash string }
	}
	if err := json.Unmarshal([]byte(r.out), &doc); err != nil {
		return err
	}
	var people []string
	for _, person := range []string{bob, carol} {
		if r, err = t.must(ctx, "tx", "show", doc.ID, "--json", "--key", key); err != nil {
			return err
		}
		if err := json.Unmarshal([]byte(r.out), &doc); err != nil {
			return err
		}
		people = append(people, fmt.Sprintf("before %s: %s", person, doc.State))
		if _, err := t.must(ctx, "tx", "approve", doc.ID, "--yes", "--key", t.circle.KeyFile(person)); err != nil {
			return err
		}
	}
	mined := map[string]bool{"seen": true, "confirmed": true, "final": true}
	_, err = poll(ctx, awhile, func() (bool, error) {
		if err := sleep(ctx, 300*time.Millisecond); err != nil {
			return false, err
		}
		r, err = t.run(ctx, "tx", "show", doc.ID, "--json", "--key", key)
		return err == nil && json.Unmarshal([]byte(r.out), &doc) == nil && mined[doc.State], err
	})
	if err != nil {
		return err
	}
	x := Step{What: "he has nearly all of it paid out: two people must approve, and three operators sign", Outcome: fmt.Sprintf("%s; then %s", strings.Join(people, ", "), doc.State), Held: mined[doc.State]}
	if doc.Signed != nil {
		x.Outcome += ", signed by the vault's key as " + doc.Signed.Hash
	}
	t.step(x)
	return nil
}
