package rehearse

import (
	"context"
	"encoding/json"
	"fmt"
	"math/big"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/ostraka/ostraka/chain/evm"
	"github.com/ostraka/ostraka/cmd/ostraka/local"
	"github.com/ostraka/ostraka/node/rpc"
)

var emergency = Story{
	Name:     "sos",
	Incident: "no incident but the day for which SOS is there: an operator of a 3-of-3 vault is gone for good, with all that its machine held",
	Alters:   true,
	tell:     tellSOS,
}

// refuge is the plan's rescue address: nothing lies there before.
var refuge = evm.Address{0x05, 0x05, 0x05, 18: 0x05, 19: 0x05}.String()

// rescuePlan is a drill's, with a successor and times that can be watched: its window has room for a slow machine.
var rescuePlan = strings.NewReplacer("destinations:", "successors: [dora]\n      destinations:", payee, refuge, "window: 60", fmt.Sprintf("window: %d", int(rescueWindow.Seconds())), "lock-up: 2", "lock-up: 5").Replace(plan)

const rescueWindow = 130 * time.Second

func tellSOS(ctx context.Context, t *tale) error {
	if err := t.openEmergency(ctx); err != nil {
		return err
	}
	for _, part := range []func(context.Context) error{t.ready, t.returned, t.gone, t.contributed, t.swept, t.lockedUp, t.closed, t.proved, t.removed} {
		if err := part(ctx); err != nil {
			return err
		}
	}
	t.report.Shown = "cora's share is gone for good, and the key was whole nowhere, at no operator and no guardian: two operators and three guardians made new shares of the same key, for acme, bolt and dora. " +
		"Payments elsewhere were refused until the emergency was closed"
	if t.endpoint != "" {
		t.report.Shown += "; what lay at the vault's address lies at the address that the plan names"
	}
	return nil
}

// openEmergency starts a circle of four operators, of which three hold the vault, and five guardians.
func (t *tale) openEmergency(ctx context.Context) error {
	return t.startGuarded(ctx, "five guardians make their keys; four operators start their nodes, and three of them make a vault's key", true, func(file string, cards []string) string {
		return strings.Replace(guarded(file, cards, rescuePlan), "heartbeat: 3600", "heartbeat: 60", 1)
	})
}

// sosView is how a node has a request.
type sosView struct {
	Node, State string
	Waiting     []string
}

// views are how the nodes have a request, by node.
func (t *tale) views(ctx context.Context, request string) (map[string]sosView, error) {
	r, err := t.run(ctx, "sos", "status", "--json")
	if err != nil {
		return nil, err
	}
	var doc struct {
		Vaults []struct {
			Requests []struct {
				ID    string
				Views []sosView
			}
		}
	}
	if err := json.Unmarshal([]byte(r.out), &doc); err != nil {
		return nil, fmt.Errorf("`ostraka sos status`: exit %d: %s", r.code, r.said())
	}
	views := map[string]sosView{}
	for _, v := range doc.Vaults {
		for _, q := range v.Requests {
			for _, x := range q.Views {
				if q.ID == request {
					views[x.Node] = x
				}
			}
		}
	}
	return views, nil
}

// reaches is a step: these nodes come to have a request in a state, each by its own clock.
func (t *tale) reaches(ctx context.Context, what, request, state string, limit time.Duration, nodes ...string) error {
	var views map[string]sosView
	ok, err := poll(ctx, limit, func() (bool, error) {
		var err error
		if views, err = t.views(ctx, request); err != nil {
			return false, err
		}
		if !slices.ContainsFunc(nodes, func(n string) bool { return views[n].State != state }) {
			return true, nil
		}
		return false, sleep(ctx, 500*time.Millisecond)
	})
	if err != nil {
		return err
	}
	var words chorus
	for _, n := range nodes {
		text := views[n].State
		if !ok {
			text += " " + strings.Join(views[n].Waiting, "; ")
		}
		words.say(n, text)
	}
	t.step(Step{What: what + ": `ostraka sos status`", Outcome: words.String(), Held: ok})
	if !ok {
		return fmt.Errorf("request %s does not come to %s", request, state)
	}
	return nil
}

// ready: everything that a rescue needs is there before it is needed.
func (t *tale) ready(ctx context.Context) error {
	if err := t.cutAll(ctx); err != nil {
		return err
	}
	if err := t.anAddress(ctx, "all three have cut an export"); err != nil {
		return err
	}
	if t.endpoint == "" {
		return nil
	}
	address, err := t.first(ctx)
	if err != nil {
		return err
	}
	return t.fund(ctx, address, held)
}

// declare makes a request as a guardian, and has others support it; its id.
func (t *tale) declare(ctx context.Context, guardians int) (string, error) {
	contact := "telephone: rang out, three times"
	as := func(i int, args ...string) []string {
		return append(args, "--as", fmt.Sprintf("guardian-%d", i+1), "--key", t.guards.keys[i], "-i", t.guards.identity, "--contact", contact, "--yes", "--json")
	}
	r, err := t.must(ctx, as(0, "sos", "declare", "--vault", local.VaultName, "--trigger", "silence", "--subject", "cora", "--reason", "no sign of life")...)
	if err != nil {
		return "", err
	}
	var doc struct{ Request struct{ ID string } }
	if err := json.Unmarshal([]byte(r.out), &doc); err != nil {
		return "", err
	}
	id := doc.Request.ID
	for i := 1; i < guardians; i++ {
		if _, err := t.must(ctx, as(i, "sos", "support", id)...); err != nil {
			return "", err
		}
	}
	for _, name := range []string{"acme", "bolt"} {
		if _, err := t.must(ctx, "sos", "support", id, "--as", name, "--key", t.operator(name).Officer, "--yes"); err != nil {
			return "", err
		}
	}
	return id, nil
}

// returned: an operator that is only away comes back, and no vote is needed.
func (t *tale) returned(ctx context.Context) error {
	cora := t.operator("cora")
	t.to.Busy("cora's node is killed; guardians and the other operators ask for SOS")
	t.circle.Kill(cora)
	if err := sleep(ctx, 6*time.Second); err != nil { // the drill's plan calls that silence
		return err
	}
	id, err := t.declare(ctx, 3)
	if err != nil {
		return err
	}
	if err := t.reaches(ctx, "three guardians of three firms and two operators say that cora is silent; the delay runs", id, "contest", awhile, "acme", "bolt"); err != nil {
		return err
	}
	if err := t.circle.Restart(ctx, cora); err != nil {
		return err
	}
	if err := t.reaches(ctx, "cora's node comes back: by itself it proves that it knows its share, and the vault signs with it", id, "vetoed", 2*awhile, "acme", "bolt", "cora"); err != nil {
		return err
	}
	_, err = t.proves(ctx, "and the vault signs as before, with cora's share", "We are all here")
	return err
}

// gone: this time cora does not come back.
func (t *tale) gone(ctx context.Context) error {
	cora := t.operator("cora")
	t.to.Busy("cora's machine is destroyed, and its exports with it")
	t.circle.Kill(cora)
	if err := os.RemoveAll(cora.Dir); err != nil {
		return err
	}
	if err := os.Remove(t.guards.exports["cora"]); err != nil {
		return err
	}
	t.step(Step{
		What:    "now cora's machine is destroyed, and its exports with it: nothing can bring its share back",
		Outcome: "dora, whom the plan names as successor, stands ready; what takes days in a real plan takes seconds here", Held: true,
	})
	if err := sleep(ctx, 6*time.Second); err != nil {
		return err
	}
	id, err := t.declare(ctx, 3)
	if err != nil {
		return err
	}
	views, err := t.views(ctx, id)
	if err != nil {
		return err
	}
	t.step(Step{What: "three guardians again, within 90 days of the first time", Outcome: "acme waits: " + shorten(strings.Join(views["acme"].Waiting, "; ")), Held: views["acme"].State == "armed"})
	if _, err := t.must(ctx, "sos", "support", id, "--as", "guardian-4", "--key", t.guards.keys[3], "-i", t.guards.identity, "--contact", "office: closed", "--yes"); err != nil {
		return err
	}
	t.request = id
	return t.reaches(ctx, "a fourth guardian: the second time takes one more; the delay runs to its end", id, "active", 2*awhile, "acme", "bolt", "dora")
}

// contributed: the operators that are left name who gives and who follows; guardians answer a file, offline.
func (t *tale) contributed(ctx context.Context) error {
	t.to.Busy("acme names the new committee; three guardians answer on machines without a network")
	acme := t.operator("acme")
	was, public, err := t.epochAt(ctx, acme)
	if err != nil {
		return err
	}
	if _, err := t.must(ctx, "sos", "activate", local.VaultName, "--with", "dora", "--dir", acme.Dir); err != nil {
		return err
	}
	folder, err := t.folder()
	if err != nil {
		return err
	}
	appeal := filepath.Join(folder, "treasury.appeal")
	if err := t.appealed(ctx, appeal); err != nil {
		return err
	}
	for i := range 3 {
		file := filepath.Join(folder, fmt.Sprintf("guardian-%d.contribution", i+1))
		args := []string{"sos", "support", "--request", appeal, "--key", t.guards.keys[i], "-i", t.guards.identity, "--out", file, "--charter", t.charterID, "--yes"}
		if _, err := t.must(ctx, args...); err != nil {
			return err
		}
		if _, err := t.must(ctx, "sos", "support", "--send", file); err != nil {
			return err
		}
	}
	t.heldBy = []string{"acme", "bolt", "dora"}
	for _, o := range t.holders() {
		if err := t.moved(ctx, o, was); err != nil {
			return err
		}
	}
	is, after, err := t.epochAt(ctx, t.operator("dora"))
	if err != nil {
		return err
	}
	t.step(Step{What: "two operators and three guardians give the key to acme, bolt and dora; cora's share is nowhere", Outcome: fmt.Sprintf("epoch %d, and the same public key %s…", is, after[:12]), Held: is == was+1 && after == public})
	return nil
}

// appealed waits until both contributors' nodes have signed the activation, and writes what guardians are sent.
func (t *tale) appealed(ctx context.Context, file string) error {
	var last string
	ok, err := poll(ctx, awhile, func() (bool, error) {
		r, err := t.run(ctx, "sos", "appeal", t.request, "--out", file, "--key", t.operator("acme").Officer, "--json")
		if err != nil {
			return false, err
		}
		var doc struct {
			Activations []struct{ Contributors []string }
		}
		last = r.said()
		if r.code == 0 && json.Unmarshal([]byte(r.out), &doc) == nil && len(doc.Activations) == 1 {
			return true, nil
		}
		_ = os.Remove(file) // it is there already with what was known then
		return false, sleep(ctx, 500*time.Millisecond)
	})
	if err == nil && !ok {
		err = fmt.Errorf("`ostraka sos appeal` names no activation: %s", last)
	}
	if err != nil {
		return err
	}
	r, err := t.must(ctx, "charter", "show", "--json", "--key", t.circle.KeyFile(alice))
	if err != nil {
		return err
	}
	var doc struct{ ID string }
	if err := json.Unmarshal([]byte(r.out), &doc); err != nil || len(doc.ID) != 64 {
		return fmt.Errorf("`ostraka charter show` tells no id: %s: %w", shorten(r.out), err)
	}
	t.charterID = doc.ID
	return nil
}

// moved waits until an operator's node has a newer epoch.
func (t *tale) moved(ctx context.Context, o *local.Operator, was uint64) error {
	ok, err := poll(ctx, 3*awhile, func() (bool, error) {
		is, _, err := t.epochAt(ctx, o)
		if err == nil && is > was { // a newcomer's node shows no key at first
			return true, nil
		}
		return false, sleep(ctx, 300*time.Millisecond)
	})
	if err == nil && !ok {
		r, _ := t.run(ctx, "vault", "show", local.VaultName, "--local", "--dir", o.Dir)
		err = fmt.Errorf("%s has no new shares of vault %s: %s", o.Name, local.VaultName, r.out+r.errs)
	}
	return err
}

// swept: what lies at the vault's addresses goes to the rescue address, and nowhere else.
func (t *tale) swept(ctx context.Context) error {
	key := t.operator("acme").Officer
	elsewhere, err := t.refusedMeanwhile(ctx, "0.2")
	if err != nil {
		return err
	}
	t.step(elsewhere("alice asks for a payment elsewhere"))
	if t.endpoint == "" {
		t.step(Step{What: "the sweep to the rescue address", Outcome: "is not shown: no chain was given (--eth-rpc)", Held: true})
		return nil
	}
	args := []string{"sos", "sweep", local.VaultName, "--rpc", chainID + "=" + t.endpoint, "--key", key, "--json"}
	var doc struct {
		Transfers []struct{ Asset, Amount, To, State, Problem string }
	}
	r, err := t.must(ctx, append(args, "--dry-run")...)
	if err != nil {
		return err
	}
	if err := json.Unmarshal([]byte(r.out), &doc); err != nil || len(doc.Transfers) != 1 {
		return fmt.Errorf("`ostraka sos sweep --dry-run`: %d transfers: %s: %w", len(doc.Transfers), shorten(r.out), err)
	}
	x := doc.Transfers[0]
	t.step(Step{What: "what would be moved: `ostraka sos sweep --dry-run`", Outcome: x.Amount + " " + x.Asset + " to " + x.To, Held: x.To == "refuge" && x.Asset == "eth"})
	if r, err = t.run(ctx, append(args, "--yes")...); err != nil || r.code != 0 {
		return fmt.Errorf("`ostraka sos sweep`: exit %d: %s: %w", r.code, r.out+r.errs, err)
	}
	lies, err := t.balance(ctx, refuge)
	if err != nil {
		return err
	}
	most := new(big.Int).Sub(held, milliether(10)) // the fee is far less
	t.step(Step{What: "it is moved: `ostraka sos sweep`", Outcome: evm.FormatUnits(lies, evm.EtherDecimals) + " ether lie at the rescue address", Held: lies.Cmp(most) > 0})
	return nil
}

// balance is what lies at an address on the development chain.
func (t *tale) balance(ctx context.Context, address string) (*big.Int, error) {
	c, err := rpc.NewEVM(t.endpoint, rpc.Options{})
	if err != nil {
		return nil, err
	}
	a, err := evm.ParseAddress(address)
	if err != nil {
		return nil, err
	}
	return c.Balance(ctx, a)
}

// refusedMeanwhile proposes a payment elsewhere, has it approved, and waits until the nodes that hold shares deny it.
func (t *tale) refusedMeanwhile(ctx context.Context, amount string) (func(what string) Step, error) {
	key := t.circle.KeyFile(alice)
	args := []string{"tx", "propose", "--vault", local.VaultName, "--account", account, "--to", payee, "--amount", amount, "--no-wait", "--json", "--key", key}
	if t.endpoint == "" { // no node can be asked what the chain wants
		args = append(args, "--nonce", fmt.Sprint(t.next()), "--gas", "21000", "--fee-cap", "30000000000", "--tip-cap", "1000000000")
	}
	r, err := t.must(ctx, args...)
	if err != nil {
		return nil, err
	}
	var doc struct {
		ID, State string
		Decisions []struct{ Operator, Verdict, Rule, Reason string }
	}
	if err := json.Unmarshal([]byte(r.out), &doc); err != nil {
		return nil, err
	}
	denies := func() (n int) {
		for _, d := range doc.Decisions {
			if d.Verdict == "deny" {
				n++
			}
		}
		return n
	}
	ok, err := poll(ctx, awhile, func() (bool, error) {
		if r, err = t.run(ctx, "tx", "show", doc.ID, "--json", "--key", key); err != nil || json.Unmarshal([]byte(r.out), &doc) != nil {
			return false, err
		}
		return denies() > 0 && doc.State == "denied", sleep(ctx, 300*time.Millisecond)
	})
	if err != nil {
		return nil, err
	}
	return func(what string) Step {
		x := Step{What: what, Outcome: doc.State, Held: ok}
		var words chorus
		for _, d := range doc.Decisions {
			if d.Verdict == "deny" {
				words.say(d.Operator, d.Reason)
				x.Rule = d.Rule
			}
		}
		x.Outcome += ": " + words.String()
		return x
	}, nil
}

// lockedUp: the window is over, and the vault still signs only to its rescue address.
func (t *tale) lockedUp(ctx context.Context) error {
	t.to.Busy("the window goes by")
	if err := t.reaches(ctx, "the window is over", t.request, "lock-up", rescueWindow+2*awhile, "acme", "bolt", "dora"); err != nil {
		return err
	}
	step, err := t.refusedMeanwhile(ctx, "0.3")
	if err != nil {
		return err
	}
	t.step(step("in lock-up alice asks for a payment elsewhere"))
	return nil
}

// closed: new backups, drills, a report; the new committee's officers close, and the vault is an ordinary one again.
func (t *tale) closed(ctx context.Context) error {
	t.to.Busy("the new committee cuts new exports, guardians drill, and officers close")
	for _, o := range t.holders() {
		if err := t.cut(ctx, o); err != nil {
			return err
		}
	}
	if err := t.drill(ctx); err != nil {
		return err
	}
	report := filepath.Join(t.guards.folder, "report.json")
	r, err := t.must(ctx, "sos", "report", local.VaultName, "--json", "--key", t.operator("acme").Officer)
	if err != nil {
		return err
	}
	if err := os.WriteFile(report, []byte(r.out), 0o600); err != nil {
		return err
	}
	for _, name := range []string{"acme", "bolt", "dora"} {
		if _, err := t.must(ctx, "sos", "close", local.VaultName, "--as", name, "--report", report, "--key", t.operator(name).Officer, "--yes"); err != nil {
			return err
		}
	}
	return t.reaches(ctx, "new exports, five drills and a report; the officers of acme, bolt and dora close", t.request, "closed", 2*awhile, "acme", "bolt", "dora")
}

// proved: an outsider sees the whole story in what the nodes publish.
func (t *tale) proved(ctx context.Context) error {
	if err := t.anAddress(ctx, "the new committee gives out the next address"); err != nil {
		return err
	}
	var told, failed []string
	want, gone := []string{"vetoed", "closed"}, []string{"operator cora: its log is shown"} // its machine is gone, and nothing else may be missing
	out, err := t.outsider(ctx, func(o outside) bool {
		told, failed = nil, nil
		for _, v := range o.Vaults {
			for _, e := range v.Emergencies {
				told = append(told, e.State)
			}
		}
		for _, c := range o.Claims {
			if c.Failed != "" {
				failed = append(failed, c.Subject+": "+c.Claim)
			}
		}
		return slices.Equal(told, want) && slices.Equal(failed, gone)
	})
	if err != nil {
		return err
	}
	t.step(Step{
		What:    "anybody takes the circle's disclosure, from which cora's log is gone for good: `ostraka verify`",
		Outcome: fmt.Sprintf("exit %d; emergencies: %s; of %d claims all hold but: %s", out.code, strings.Join(told, ", "), len(out.Claims), strings.Join(failed, "; ")),
		Held:    slices.Equal(told, want) && slices.Equal(failed, gone) && out.code == codeUnverified,
	})
	return nil
}

// removed: the operators that are left take cora out of the roster, nobody is asked for its log any more, and the vault signs.
func (t *tale) removed(ctx context.Context) error {
	t.to.Busy("the operators that are left take cora out of the roster")
	for i, name := range []string{"acme", "bolt", "dora"} {
		o := t.operator(name)
		args := []string{"operator", "accept"}
		if i == 0 {
			args = []string{"operator", "remove", "cora"}
		}
		var last result
		ok, err := poll(ctx, awhile, func() (bool, error) {
			var err error
			last, err = t.run(ctx, append(args, "--dir", o.Dir, "--key", o.Officer, "--yes")...)
			return last.code == 0, err // the others' proposal may be on its way
		})
		if err == nil && !ok {
			err = fmt.Errorf("ostraka %s at %s: exit %d: %s", strings.Join(args, " "), name, last.code, last.said())
		}
		if err != nil {
			return err
		}
	}
	var failed []string
	out, err := t.outsider(ctx, func(o outside) bool {
		failed = nil
		for _, c := range o.Claims {
			if c.Failed != "" {
				failed = append(failed, c.Subject+": "+c.Claim)
			}
		}
		return len(failed) == 0
	})
	if err != nil {
		return err
	}
	outcome := fmt.Sprintf("exit %d: all of %d claims hold", out.code, len(out.Claims))
	if len(failed) > 0 {
		outcome = fmt.Sprintf("exit %d: %s", out.code, strings.Join(failed, "; "))
	}
	t.step(Step{What: "acme, bolt and dora take cora out of the roster without its word, and its log is missed no more: `ostraka operator remove`, `ostraka verify`", Outcome: outcome, Held: out.code == 0})
	_, err = t.proves(ctx, "and the vault is an ordinary one again, with dora in cora's place", "We go on")
	return err
}
