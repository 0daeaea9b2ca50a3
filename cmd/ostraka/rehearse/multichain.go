package rehearse

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"regexp"
	"strings"
	"sync"

	"connectrpc.com/connect"

	v1 "github.com/ostraka/ostraka/api/ostraka/v1"
	"github.com/ostraka/ostraka/client"
	"github.com/ostraka/ostraka/cmd/ostraka/local"
	"github.com/ostraka/ostraka/custody/charter"
	"github.com/ostraka/ostraka/custody/intent"
	"github.com/ostraka/ostraka/custody/signet"
	"github.com/ostraka/ostraka/custody/statement"
)

var multichain = Story{
	Name:     "multichain",
	Incident: "July 2023, over 125 million dollars: all MPC nodes ran under the chief executive's own cloud account; he was detained, and nobody else had access",
	Alters:   true, tell: tellMultichain,
}

func tellMultichain(ctx context.Context, t *tale) error {
	if err := t.open(ctx); err != nil {
		return err
	}
	for _, part := range []func(context.Context) error{t.oneAccount, t.spread, t.nodeSeized, t.accountGone} {
		if err := part(ctx); err != nil {
			return err
		}
	}
	return nil
}

var (
	providerLine = regexp.MustCompile(`(?m)^        provider: .*$`)
	accountLine  = regexp.MustCompile(`(?m)^        account: .*$`)
	accessLine   = regexp.MustCompile(`(?m)^        access: .*$`)
)

// The one cloud account, as control numbers name it, and who rules it.
const (
	ceoAccount = "cloud/ceo"
	ceo        = "officer-acme"
)

// oneAccount: three operators by contract, one cloud account, one person with access.
func (t *tale) oneAccount(ctx context.Context) error {
	file, policy, err := t.written()
	if err != nil {
		return err
	}
	file = providerLine.ReplaceAllString(file, `        provider: "cloud"`)
	file = accountLine.ReplaceAllString(file, `        account: "ceo"`)
	file = accessLine.ReplaceAllString(file, "        access: ["+ceo+"]")
	folder, err := t.writeCharter(file, policy)
	if err != nil {
		return err
	}
	l, err := t.lintRefuses(ctx, "three operators in one cloud account that one person reaches", folder, "steal/organisation", "steal/person", "steal/account", "steal/provider")
	if err != nil {
		return err
	}
	account, person := l.number("account"), l.number("person")
	t.step(Step{
		What:    "how few steal, halt and lose it: the control numbers",
		Outcome: fmt.Sprintf("account: %v, person: %v; alone: %s, %s", account, person, l.stealer("account"), l.stealer("person")),
		Held:    account == [3]int{1, 1, 1} && person == [3]int{1, 1, 1} && l.stealer("account") == ceoAccount && l.stealer("person") == ceo,
	})
	acme := t.operator("acme")
	who := []string{ceoAccount, ceo}
	if err := t.refusal(ctx, "an officer signs it all the same: `ostraka charter sign`", who, "charter", "sign", folder, "--yes", "--dir", acme.Dir, "--key", acme.Officer); err != nil {
		return err
	}
	if err := t.refusal(ctx, "an officer makes a vault of it: `ostraka vault create -f`", who, "vault", "create", local.VaultName, "-f", folder, "--yes", "--dir", acme.Dir, "--key", acme.Officer); err != nil {
		return err
	}
	_, err = acme.Client().PrepareCharter(ctx, connect.NewRequest(&v1.PrepareCharterRequest{File: []byte(file), Policy: []byte(policy)}))
	x := Step{What: "another program than ours asks the node for it", Outcome: "the node gives it"}
	if err != nil {
		x.Outcome, x.Rule = shorten(client.Failure{Err: err}.Reason()), controlRules(err.Error())
		x.Held = connect.IsWireError(err) && strings.Contains(err.Error(), ceoAccount) && strings.Contains(x.Rule, "steal/account")
	}
	t.step(x)
	return nil
}

// spread: the charter that `charter init` begins with, and what a loss means under it.
func (t *tale) spread(ctx context.Context) error {
	s, err := standard(3)
	if err != nil {
		return err
	}
	file, err := s.File()
	if err != nil {
		return err
	}
	folder, err := t.writeCharter(file, charter.StartPolicy)
	if err != nil {
		return err
	}
	if err := t.lintPasses(ctx, "three operators that have nothing in common, 3 of 3 sign, five guardians", folder, [3]int{3, 1, 2}); err != nil {
		return err
	}
	gone := "organisation=" + s.Operators[0].Name
	return t.whatIf(ctx, "one of the three vanishes: in 3-of-3 signing halts, and guardians can help", folder, gone, codeNotReady,
		outlook{CanSOS: true})
}

// outlook is what `control whatif` says of a vault.
type outlook struct {
	CanSign bool   `json:"can_sign"`
	CanSOS  bool   `json:"can_sos"`
	Lost    bool   `json:"lost"`
	Text    string `json:"text"`
}

// whatIf is a step: the loss must leave the vault so.
func (t *tale) whatIf(ctx context.Context, what, folder, lose string, code int, want outlook) error {
	r, err := t.run(ctx, "control", "whatif", folder, "--lose", lose, "--json")
	if err != nil {
		return err
	}
	var doc struct{ Vaults []outlook }
	if err := json.Unmarshal([]byte(r.out), &doc); err != nil || len(doc.Vaults) != 1 {
		return fmt.Errorf("`ostraka control whatif`: exit %d, %d vaults: %s%s", r.code, len(doc.Vaults), r.out, r.errs)
	}
	is := doc.Vaults[0]
	text := is.Text
	is.Text = ""
	t.step(Step{What: fmt.Sprintf("%s: `ostraka control whatif --lose %s`", what, lose), Outcome: fmt.Sprintf("exit %d: the vault %s", r.code, text), Held: r.code == code && is == want})
	return nil
}

// nodeSeized: who rules one account has one node, its share, its passphrase and its officer's key.
func (t *tale) nodeSeized(ctx context.Context) error {
	s, err := t.transfer(ctx, thief, milliether(100), 0)
	if err != nil {
		return err
	}
	sig, err := t.sign(ctx, "officer-acme", signet.Makes(statement.Intent), s)
	if err != nil {
		return err
	}
	answers, err := t.hand(ctx, s, sig)
	if err != nil {
		return err
	}
	t.refusedBy("who rules acme's account asks for money with acme's officer's key", answers, intent.ErrNoInitiator)
	return t.aloneSignsNothing(ctx)
}

// aloneSignsNothing: acme's node runs alone and gets a payment that everybody approved.
func (t *tale) aloneSignsNothing(ctx context.Context) error {
	t.to.Busy("bolt and cora are switched off, and acme's node is left alone with an approved payment")
	others := []*local.Operator{t.operator("bolt"), t.operator("cora")}
	for _, o := range others {
		t.circle.Halt(o)
	}
	s, err := t.asked(ctx, payee, milliether(100))
	for _, person := range []string{bob, carol} {
		if err == nil {
			err = t.approve(ctx, person, s)
		}
	}
	if err != nil {
		return err
	}
	// Its own decision first, or there would be nothing that it waits for.
	if _, err := t.until(ctx, s.ID(), awhile, func(c *client.Case) bool { return len(c.Decisions) > 0 }); err != nil {
		return err
	}
	one, err := t.watch(ctx, s.ID())
	if err != nil {
		return err
	}
	x := Step{What: "acme's node alone, with acme's share and a payment that bob and carol approved", Held: one.Signed == nil && len(one.Decisions) == 1 && one.Decisions[0].Verdict == intent.Allow}
	x.Outcome = fmt.Sprintf("%d operators of %d have allowed it, %d must sign; it awaits %s", len(one.Decisions), len(one.Vault.Committee), one.Vault.Threshold, strings.Join(one.Awaited(), ", "))
	if one.Signed != nil {
		x.Outcome = "SIGNED as " + one.Signed.Hash
	} else if one.Vault.Threshold > len(one.Decisions) {
		x.Rule = "threshold"
	}
	t.step(x)
	if err := t.cancel(ctx, s); err != nil {
		return err
	}
	return t.back(ctx, others)
}

// back starts nodes that were stopped.
func (t *tale) back(ctx context.Context, nodes []*local.Operator) error {
	errs := make([]error, len(nodes))
	var wg sync.WaitGroup
	for i, o := range nodes {
		wg.Go(func() { errs[i] = t.circle.Restart(ctx, o) })
	}
	wg.Wait()
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}

// accountGone: the account is closed with all that ran in it.
func (t *tale) accountGone(ctx context.Context) error {
	acme := t.operator("acme")
	t.circle.Halt(acme)
	if err := os.RemoveAll(acme.Dir); err != nil {
		return err
	}
	if err := t.whatIf(ctx, "acme is gone with its account, in the circle on this machine, where 2 of 3 sign", t.circle.CharterFolder(), "organisation=acme", 0, outlook{CanSign: true}); err != nil {
		return err
	}
	return t.pays(ctx, "acme's node and folder are destroyed; alice asks bolt and cora for a payment")
}
