package rehearse

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"

	"filippo.io/age"

	"github.com/ostraka/ostraka/client"
	"github.com/ostraka/ostraka/cmd/ostraka/local"
	"github.com/ostraka/ostraka/custody/charter"
)

// guards is what a circle has beside its nodes: guardians with their keys, and what operators keep elsewhere.
type guards struct {
	folder    string
	identity  string   // file of a key that opens exports and the guardians' files
	recipient string   // to which they are encrypted
	keys      []string // guardians' key files
	cards     []string
	exports   map[string]string // by operator: the newest
	worn      bool              // a node was restored: for a while it lets no payment go
}

// openGuarded starts a circle in which all three operators sign and five guardians stand by, with an account; each operator has a place for exports.
// One that runs already serves, unless nodes of it were restored and fresh is asked for.
func (t *tale) openGuarded(ctx context.Context, fresh bool) error {
	if t.guards != nil && (!t.guards.worn || !fresh) {
		return nil
	}
	return t.startGuarded(ctx, "five guardians make their keys; three operators start their nodes and make a vault's key", false, func(file string, cards []string) string {
		return guarded(file, cards, plan)
	})
}

// startGuarded starts a circle with five guardians and an account; the charter is the proper one, amended with their cards.
func (t *tale) startGuarded(ctx context.Context, busy string, standby bool, amend func(file string, cards []string) string) error {
	t.leave()
	t.to.Busy(busy)
	dir, err := t.folder()
	if err != nil {
		return err
	}
	g, err := t.guardians(ctx, 5)
	if err != nil {
		return err
	}
	t.guards, t.people = g, map[string]*client.Circle{}
	cfg := local.Config{
		Binary: t.binary, Dir: dir, Chain: chainID, Suite: charter.SuiteECDSA, Initiator: alice, Approvers: []string{bob, carol}, Others: []string{dave},
		Quorum: 2, Threshold: 3, Standby: standby, Env: t.environment, Amend: func(file string) string { return amend(proper(file), g.cards) },
	}
	if t.endpoint != "" {
		cfg.RPC = map[string]string{chainID: t.endpoint}
	}
	t.circle, err = local.Start(ctx, cfg)
	for _, step := range []func(context.Context) error{t.circle.Found, t.circle.CreateVault, t.circle.AwaitVault, t.accounted} {
		if err == nil {
			err = step(ctx)
		}
	}
	return err
}

// accounted makes the account ops/main, without an address.
func (t *tale) accounted(ctx context.Context) error {
	_, err := t.must(ctx, "account", "create", "--vault", local.VaultName, account, "--key", t.circle.KeyFile(alice))
	return err
}

const (
	account = "ops/main"
	away    = "away" // the place of every operator's exports
)

// guardians make so many keys, each with `guardian init`, as guardians do at home.
func (t *tale) guardians(ctx context.Context, n int) (*guards, error) {
	folder, err := t.folder()
	if err != nil {
		return nil, err
	}
	id, err := age.GenerateHybridIdentity()
	if err != nil {
		return nil, err
	}
	g := &guards{folder: folder, identity: filepath.Join(folder, "key.txt"), recipient: id.Recipient().String(), exports: map[string]string{}}
	if err := os.WriteFile(g.identity, []byte(id.String()+"\n"), 0o600); err != nil {
		return nil, err
	}
	for i := range n {
		file := filepath.Join(folder, fmt.Sprintf("guardian-%d.age", i+1))
		r, err := t.must(ctx, "guardian", "init", file, "--recipient", g.recipient, "--json")
		if err != nil {
			return nil, err
		}
		var doc struct{ Card string }
		if err := json.Unmarshal([]byte(r.out), &doc); err != nil {
			return nil, err
		}
		g.keys, g.cards = append(g.keys, file), append(g.cards, doc.Card)
	}
	return g, nil
}

var (
	officerAccess = regexp.MustCompile(`(?m)^        jurisdiction: (.*)\n        hardware: .*\n        access: \[(officer-([a-z]+))\]\n`)
	vaultsLine    = regexp.MustCompile(`(?m)^vaults:\n`)
	chainsLine    = regexp.MustCompile(`(?m)^    chains: .*\n`)
)

// plan is a drill's: its times can be watched.
const plan = `    rescue:
      operators: 2
      guardians: 3
      triggers:
        - name: silence
          after: 5
          delay: 5
        - name: legal
          delay: 5
      starters: 3
      organisations: 3
      window: 60
      lock-up: 2
      drill-every: 86400
      least-threshold: 2
      destinations:
        - name: refuge
          chain: "` + chainID + `"
          address: "` + payee + `"
`

// guarded adds guardians with these cards, a plan, and for every operator a place for exports to the charter of a circle on one machine.
func guarded(file string, cards []string, plan string) string {
	file = officerAccess.ReplaceAllString(file, `$0      - name: `+away+`
        level: export
        provider: "safe of $3"
        account: "safe of $3"
        region: "cellar of $3"
        jurisdiction: $1
        hardware: "stick of $3"
        access: [$2]
`)
	all := "guardians:\n"
	for i, card := range cards {
		all += fmt.Sprintf("  - name: guardian-%d\n    person: holder-%[1]d\n    organisation: firm-%[1]d\n    jurisdiction: \"de\"\n    card: %q\n", i+1, card)
	}
	file = vaultsLine.ReplaceAllString(file, all+"\n$0")
	return chainsLine.ReplaceAllString(file, "${0}\n"+plan)
}

// cut has an operator cut an export.
func (t *tale) cut(ctx context.Context, o *local.Operator) error {
	r, err := t.must(ctx, "backup", "cut", "--level", "export", "--place", away, "--recipient", t.guards.recipient, "--to", t.guards.folder, "--dir", o.Dir, "--json")
	if err != nil {
		return err
	}
	var doc struct{ Where string }
	if err := json.Unmarshal([]byte(r.out), &doc); err != nil {
		return err
	}
	t.guards.exports[o.Name] = doc.Where
	return nil
}

// holders are the operators that hold the vault's shares.
func (t *tale) holders() []*local.Operator {
	if len(t.heldBy) == 0 {
		return t.circle.Committee()
	}
	var out []*local.Operator
	for _, name := range t.heldBy {
		out = append(out, t.operator(name))
	}
	return out
}

// cutAll has every operator that holds a share cut an export of the epoch in force, and waits until every node has noted all.
func (t *tale) cutAll(ctx context.Context) error {
	t.to.Busy("every operator cuts an export of the epoch in force")
	for _, o := range t.holders() {
		if err := t.cut(ctx, o); err != nil {
			return err
		}
	}
	var r result
	ok, err := poll(ctx, awhile, func() (done bool, err error) {
		r, err = t.newAddress(ctx)
		if err == nil && r.code != 0 {
			err = sleep(ctx, 300*time.Millisecond)
		}
		return r.code == 0, err
	})
	if err == nil && !ok {
		err = fmt.Errorf("no address, though every operator cut an export: %s", r.said())
	}
	return err
}

// drill has every guardian and every operator that holds a share prove that they can open what they keep. Logs are cosigned within seconds.
func (t *tale) drill(ctx context.Context) error {
	all := [][]string{}
	for _, file := range t.guards.keys {
		all = append(all, []string{"backup", "drill", "--vault", local.VaultName, "--key", file, "-i", t.guards.identity})
	}
	for _, o := range t.holders() {
		all = append(all, []string{"backup", "drill", t.guards.exports[o.Name], "--identity", t.guards.identity})
	}
	for _, args := range all {
		r, err := t.drillOf(ctx, args...)
		if err == nil && r.code != 0 {
			err = fmt.Errorf("ostraka %s: exit %d: %s", strings.Join(args, " "), r.code, r.said())
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// drillOf runs one `backup drill`, as often as there is no checkpoint yet that another operator cosigned.
func (t *tale) drillOf(ctx context.Context, args ...string) (r result, err error) {
	_, err = poll(ctx, awhile, func() (bool, error) {
		var err error
		if r, err = t.run(ctx, args...); err == nil && r.code == codeNotReady {
			return false, sleep(ctx, 500*time.Millisecond)
		}
		return true, err
	})
	return r, err
}

// newAddress asks for the account's next address as alice.
func (t *tale) newAddress(ctx context.Context) (result, error) {
	return t.run(ctx, "address", "new", local.VaultName, account, "--key", t.circle.KeyFile(alice), "--json")
}

// noAddress is a step: no address is given out, by any node, and it is said why.
func (t *tale) noAddress(ctx context.Context, what, rule string, wants ...string) error {
	var x Step
	_, err := poll(ctx, awhile, func() (bool, error) { // nodes hear of one another's losses within seconds
		r, err := t.newAddress(ctx)
		x = Step{What: what + ": `ostraka address new`", Outcome: fmt.Sprintf("exit %d: %s", r.code, r.said()), Held: r.code == codeRefused || r.code == codeNotReady}
		for _, want := range wants {
			x.Held = x.Held && strings.Contains(r.said(), want)
		}
		if err == nil && !x.Held {
			err = sleep(ctx, 300*time.Millisecond)
		}
		return x.Held, err
	})
	if x.Held {
		x.Rule = rule
	}
	t.step(x)
	return err
}

// anAddress is a step: the next address is given out, by all nodes.
func (t *tale) anAddress(ctx context.Context, what string) error {
	r, err := t.newAddress(ctx)
	if err != nil {
		return err
	}
	var doc struct {
		Address string
		Nodes   []string
	}
	x := Step{What: what + ": `ostraka address new`", Outcome: fmt.Sprintf("exit %d: %s", r.code, r.said())}
	if r.code == 0 {
		if err := json.Unmarshal([]byte(r.out), &doc); err != nil {
			return err
		}
		x.Outcome = fmt.Sprintf("exit 0: %s, the same at %s", doc.Address, strings.Join(doc.Nodes, ", "))
		x.Held = len(doc.Nodes) == len(t.holders())
	}
	t.step(x)
	return nil
}

// first is the account's first address, as its nodes list it.
func (t *tale) first(ctx context.Context) (string, error) {
	r, err := t.must(ctx, "address", "list", local.VaultName, account, "--key", t.circle.KeyFile(alice), "--json")
	if err != nil {
		return "", err
	}
	var doc struct{ Addresses []struct{ Address string } }
	if err := json.Unmarshal([]byte(r.out), &doc); err != nil || len(doc.Addresses) == 0 {
		return "", fmt.Errorf("`ostraka address list`: %d addresses: %w", len(doc.Addresses), err)
	}
	return doc.Addresses[0].Address, nil
}

// epochAt is the epoch in force at an operator's node, and the key's public half.
func (t *tale) epochAt(ctx context.Context, o *local.Operator) (epoch uint64, public string, err error) {
	r, err := t.must(ctx, "vault", "show", local.VaultName, "--local", "--dir", o.Dir, "--json")
	if err != nil {
		return 0, "", err
	}
	var doc struct {
		Roots []struct {
			EpochNumber uint64 `json:"epoch_number"`
			PublicKey   string `json:"public_key"`
		}
	}
	if err := json.Unmarshal([]byte(r.out), &doc); err != nil || len(doc.Roots) != 1 {
		return 0, "", fmt.Errorf("`ostraka vault show --local`: %d keys: %w", len(doc.Roots), err)
	}
	return doc.Roots[0].EpochNumber, doc.Roots[0].PublicKey, nil
}

// refresh has every operator ask for new shares, and waits until every node has them.
func (t *tale) refresh(ctx context.Context) error {
	t.to.Busy("every operator asks for new shares")
	was, _, err := t.epochAt(ctx, t.circle.Operators[0])
	if err != nil {
		return err
	}
	for i, o := range t.circle.Operators {
		args := []string{"vault", "refresh", local.VaultName, "--dir", o.Dir}
		if i < len(t.circle.Operators)-1 {
			args = append(args, "--no-wait") // the last one waits
		}
		if _, err := t.must(ctx, args...); err != nil {
			return err
		}
	}
	for _, o := range t.circle.Operators {
		ok, err := poll(ctx, 2*awhile, func() (bool, error) {
			is, _, err := t.epochAt(ctx, o)
			if err == nil && is <= was {
				err = sleep(ctx, 300*time.Millisecond)
			}
			return is > was, err
		})
		if err != nil {
			return err
		}
		if !ok {
			return fmt.Errorf("new shares of vault %s are asked for and not in force at %s", local.VaultName, o.Name)
		}
	}
	return nil
}

// lose ends an operator's node, with all that its machine held.
func (t *tale) lose(o *local.Operator) error {
	t.circle.Halt(o)
	return os.RemoveAll(o.Dir)
}

// restore brings an operator's node back from its newest export, and confirms that no other copy runs.
func (t *tale) restore(ctx context.Context, o *local.Operator) error {
	t.guards.worn = true
	args := append([]string{"backup", "restore", t.guards.exports[o.Name], "--identity", t.guards.identity, "--dir", o.Dir, "--passphrase-file", o.Passphrase, "--json"}, local.LightSeal...)
	_, err := t.must(ctx, args...)
	if err == nil {
		err = t.circle.Restart(ctx, o)
	}
	if err == nil {
		err = t.onlyCopy(ctx, o)
	}
	return err
}

// calm is for how long a node must not be fenced until its operator's word is believed to have been the last: what its peers hold of it comes one
// by one.
const calm = 2 * time.Second

// onlyCopy is the operator's word that no other copy of its node runs, as often as the node sees another sign that it was set back.
func (t *tale) onlyCopy(ctx context.Context, o *local.Operator) error {
	since, confirmed := time.Now(), false
	ok, err := poll(ctx, awhile, func() (bool, error) {
		r, err := t.must(ctx, "node", "status", "--dir", o.Dir, "--json")
		if err != nil {
			return false, err
		}
		var doc struct{ Fenced string }
		if err := json.Unmarshal([]byte(r.out), &doc); err != nil {
			return false, err
		}
		if doc.Fenced == "" {
			return confirmed && time.Since(since) > calm, sleep(ctx, 200*time.Millisecond)
		}
		_, err = t.must(ctx, "node", "confirm-restore", "--no-other-copy", "--dir", o.Dir)
		since, confirmed = time.Now(), true
		return false, err
	})
	if err == nil && !ok {
		err = fmt.Errorf("%s confirms its restore, and its node is fenced again and again, or never", o.Name)
	}
	return err
}

// verifies runs `backup verify` on files, whose answer is a step.
func (t *tale) verifies(ctx context.Context, what, rule string, code int, wants []string, files ...string) error {
	r, err := t.run(ctx, append([]string{"backup", "verify", "--json"}, files...)...)
	if err != nil {
		return err
	}
	var doc struct {
		Backups []struct {
			State, Why string
			Backup     struct{ Operator, Place string }
		}
		Guardians []struct {
			State, Why                   string
			EpochNumber                  uint64 `json:"epoch_number"`
			Operators, Quorum, Guardians int
		}
	}
	if err := json.Unmarshal([]byte(r.out), &doc); err != nil {
		return fmt.Errorf("`ostraka backup verify`: exit %d: %s%s", r.code, r.out, r.errs)
	}
	var all []string
	for _, b := range doc.Backups {
		text := b.State
		if b.Backup.Operator != "" {
			text = fmt.Sprintf("of %s at %s: %s", b.Backup.Operator, b.Backup.Place, text)
		}
		if b.Why != "" {
			text += ": " + b.Why
		}
		all = append(all, text)
	}
	for _, g := range doc.Guardians {
		if len(files) == 0 {
			all = append(all, fmt.Sprintf("guardians, epoch %d: %s%s: %d operators and %d of %d guardians could bring the key back", g.EpochNumber, g.State, g.Why, g.Operators, g.Quorum, g.Guardians))
		}
	}
	x := Step{What: what + ": `ostraka backup verify`", Outcome: fmt.Sprintf("exit %d: %s", r.code, strings.Join(all, "; ")), Held: r.code == code && len(all) > 0}
	for _, want := range wants {
		x.Held = x.Held && strings.Contains(x.Outcome, want)
	}
	if x.Held {
		x.Rule = rule
	}
	t.step(x)
	return nil
}

// coverage is what `backup coverage` shows of one level, a row for each operator.
func (t *tale) coverage(ctx context.Context, level int) (rows []coverageRow, code int, err error) {
	r, err := t.run(ctx, "backup", "coverage", "--key", t.circle.KeyFile(alice), "--json")
	if err != nil {
		return nil, 0, err
	}
	var doc struct{ Coverage []coverageRow }
	if err := json.Unmarshal([]byte(r.out), &doc); err != nil {
		return nil, 0, fmt.Errorf("`ostraka backup coverage`: exit %d: %s", r.code, r.errs)
	}
	return slices.DeleteFunc(doc.Coverage, func(x coverageRow) bool { return x.Level != level }), r.code, nil
}

type coverageRow struct {
	Operator, Place, State, At, What string
	Level                            int
}

// proves is a step: the vault's key signs a proof that it controls its first address, which people approve, and which `address verify` holds to it,
// asking nobody.
func (t *tale) proves(ctx context.Context, what, text string, more ...string) (string, error) {
	key := t.circle.KeyFile(alice)
	r, err := t.must(ctx, append([]string{"address", "prove", local.VaultName, account + "/0", "--entity", "Harbour Ltd", "--text", text, "--expires", "1h", "--no-wait", "--json", "--key", key}, more...)...)
	if err != nil {
		return "", err
	}
	var doc struct {
		ID    string
		State string
	}
	if err := json.Unmarshal([]byte(r.out), &doc); err != nil {
		return "", err
	}
	for _, person := range []string{bob, carol} {
		if _, err := t.must(ctx, "tx", "approve", doc.ID, "--yes", "--key", t.circle.KeyFile(person)); err != nil {
			return "", err
		}
	}
	ok, err := poll(ctx, awhile, func() (bool, error) {
		if err := sleep(ctx, 200*time.Millisecond); err != nil {
			return false, err
		}
		r, err = t.run(ctx, "tx", "show", doc.ID, "--json", "--key", key)
		return err == nil && json.Unmarshal([]byte(r.out), &doc) == nil && doc.State == "signed", err
	})
	if err != nil {
		return "", err
	}
	if !ok {
		t.step(Step{What: what, Outcome: "not signed: " + doc.State + ": " + r.said()})
		return "", nil
	}
	file := filepath.Join(t.guards.folder, "proof-"+doc.ID[:8]+".json")
	if err := os.WriteFile(file, []byte(r.out), 0o600); err != nil {
		return "", err
	}
	address, err := t.first(ctx)
	if err != nil {
		return "", err
	}
	if r, err = t.run(ctx, "address", "verify", file); err != nil {
		return "", err
	}
	t.step(Step{
		What: what + ": `ostraka address prove`, then `ostraka address verify`", Outcome: fmt.Sprintf("exit %d: signed by the vault's key: %q, for %s", r.code, text, address),
		Held: r.code == 0 && strings.Contains(r.out, address) && strings.Contains(r.out, text),
	})
	return file, nil
}
