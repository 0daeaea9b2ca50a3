package main

import (
	"context"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/ostraka/ostraka/chain/evm"
	"github.com/ostraka/ostraka/client"
	"github.com/ostraka/ostraka/custody/intent"
	"github.com/ostraka/ostraka/custody/signet"
	"github.com/ostraka/ostraka/custody/statement"
)

// findCase reads one intent at every node; id may be the beginning of one.
func findCase(ctx context.Context, r client.Reader, id string) ([]client.Vault, *client.Case, []client.Failure, error) {
	vaults, _, err := r.Vaults(ctx)
	if err != nil {
		return nil, nil, nil, err
	}
	if full, err := statement.ParseID(id); err == nil {
		one, failed, err := r.Case(ctx, vaults, full)
		return vaults, one, failed, err
	}
	all, failed, err := r.Cases(ctx, vaults, statement.ID{})
	if err != nil {
		return nil, nil, nil, err
	}
	one, err := client.FindCase(all, id)
	return vaults, one, failed, err
}

type voteDocument struct {
	ID     string            `json:"id"`
	Verb   string            `json:"verb"`
	Person string            `json:"person"`
	Taken  []string          `json:"taken"` // nodes that took it
	Failed []failureDocument `json:"failed"`
	State  string            `json:"state"`
}

var voteHelp = map[signet.Verb]string{
	signet.Approve: "Approve an intent, after decoding it here and comparing the copies of two nodes",
	signet.Reject:  "Reject an intent",
}

// voting is how a vote is to be signed.
type voting struct {
	yes     bool
	passkey bool
	typed   string // file for what a wallet shall sign; nothing is handed in
	wallet  string // its answer, in hex
}

func (a *app) voteCommand(verb signet.Verb) *cobra.Command {
	var o voting
	c := &cobra.Command{
		Use: string(verb) + " ID", Short: voteHelp[verb], Args: intentID,
		Long: voteHelp[verb] + ".\n\nA passkey signs on a page that this program serves and that shows the same: with --key FILE, which holds its line, or with\n" +
			"--passkey, if the charter lists one for you beside your SSH key, which then reads.\n\nA hardware wallet signs elsewhere: --typed-data writes what it shall sign and show, --wallet-signature hands its answer in.\n" +
			"Reading takes an SSH key that the circle lists, whosever it is; the vote is that of the wallet's owner.",
		RunE: func(cmd *cobra.Command, args []string) error {
			ctx, cancel := a.within(cmd.Context(), 5*time.Minute)
			defer cancel()
			return a.vote(ctx, verb, args[0], o)
		},
	}
	c.Flags().BoolVar(&o.yes, "yes", false, "sign without asking")
	c.Flags().BoolVar(&o.passkey, "passkey", false, "sign with the passkey that the charter lists for you, on a page")
	c.Flags().StringVar(&o.typed, "typed-data", "", "write to this file what a wallet shall sign (EIP 712, eth_signTypedData_v4), and hand in nothing")
	c.Flags().StringVar(&o.wallet, "wallet-signature", "", "hand in a wallet's answer to the typed data: 65 bytes in hex")
	return c
}

// answer is a wallet's, nil if none was given.
func (o voting) answer() (b []byte, err error) {
	switch {
	case o.passkey && o.typed+o.wallet != "":
		return nil, usage("--passkey and a wallet's flags: a vote takes one signature; give the one or the others")
	case o.typed != "" && o.wallet != "":
		return nil, usage("--typed-data and --wallet-signature: give the one, let the wallet sign, then give the other")
	case o.wallet == "":
		return nil, nil
	}
	if b, err = signet.ParseWalletSignature(o.wallet); err != nil {
		return nil, usage("--wallet-signature: %w", err)
	}
	return b, nil
}

func (a *app) vote(ctx context.Context, verb signet.Verb, id string, o voting) error {
	answer, err := o.answer()
	if err != nil {
		return err
	}
	c, err := a.circle(ctx)
	if err != nil {
		return err
	}
	defer c.Close()
	_, one, failed, err := findCase(ctx, c, id)
	if err != nil {
		return err
	}
	a.down(failed)
	if err := a.examine(c, one, verb); err != nil {
		return err
	}
	if verb == signet.Approve {
		a.noteNonce(ctx, c, one.Vault, one.Statement)
	}
	if o.typed != "" {
		return a.writeTyped(one, verb, o.typed, fmt.Sprintf("ostraka tx %s %.8s", verb, one.ID().String()))
	}
	person, armored, err := a.signVote(ctx, c.Signer(), one, verb, o, answer)
	if err != nil {
		return err
	}
	return a.voted(ctx, c, one, verb, person, c.HandVote(ctx, one.Statement, verb, armored))
}

// signVote lets the person sign, with the key at hand, a passkey on its page, or a wallet whose answer is there.
func (a *app) signVote(ctx context.Context, signer *client.Signer, one *client.Case, verb signet.Verb, o voting, answer []byte) (person string, armored []byte, err error) {
	var key signet.Key
	if signer != nil { // else a wallet signed
		key = signer.Key()
	}
	if _, is := key.Passkey(); o.passkey && !is {
		if key, err = passkeyOf(one, key); err != nil {
			return "", nil, err
		}
		signer = a.passkeySigner(key)
	}
	if answer != nil {
		if armored, key, err = fromWallet(one, verb, answer); err != nil {
			return "", nil, err
		}
	}
	if person, err = voter(one, verb, key); err != nil {
		return "", nil, err
	}
	if _, page := key.Passkey(); page { // which asks
		a.willVote(one, verb, person)
	} else if err := a.confirm(o.yes, question(verb, person)); err != nil {
		return "", nil, err
	}
	if answer == nil {
		armored, err = signer.Sign(ctx, verb, one.Statement.Bytes())
	}
	return person, armored, err
}

// word is a verb as a sentence begins with it.
func word(verb signet.Verb) string { return strings.ToUpper(string(verb[:1])) + string(verb[1:]) }

func question(verb signet.Verb, person string) string { return word(verb) + " as " + person + "?" }

// same says whose copies were compared.
func same(one *client.Case) string {
	if nodes := nodesOf(one); len(nodes) == 1 && nodes[0] == client.FromFile {
		return "It was verified from the file alone: no node was asked."
	}
	return fmt.Sprintf("The copies of %s are the same, byte for byte.", strings.Join(nodesOf(one), ", "))
}

func nodesOf(one *client.Case) (names []string) {
	for _, v := range one.Views {
		names = append(names, v.Node)
	}
	return names
}

// voter is the approver whose key this is, and whose answer is still wanted.
func voter(one *client.Case, verb signet.Verb, key signet.Key) (string, error) {
	person, err := one.Vault.Who(key)
	if err != nil {
		return "", refused("use the key that the charter lists for you (`ostraka charter show`)", "%w", err)
	}
	if _, ok := one.Vault.Approver(person); !ok {
		return "", refused("ask one of its approvers", "%s is no approver of vault %s", person, one.Vault.Name)
	}
	if one.Voted(person, verb) {
		return "", refused(fmt.Sprintf("nothing is left to do for you; `ostraka tx explain %.8s` shows who is awaited", one.ID().String()), "intent %s: the answer of %s is already counted: %s", one.ID().Short(), person, verb)
	}
	return person, nil
}

// voted shows what became of a vote.
func (a *app) voted(ctx context.Context, c *client.Circle, one *client.Case, verb signet.Verb, person string, taken client.Answers[client.Taken]) error {
	good, err := taken.Need(fmt.Sprintf("%s intent %s", verb, one.ID().Short()), 1)
	if err != nil {
		return err
	}
	d := voteDocument{one.ID().String(), string(verb), person, nil, failuresOf(taken.Failures()), one.State()}
	for _, x := range good {
		d.Taken = append(d.Taken, x.Node)
	}
	if next, _, err := c.Case(ctx, []client.Vault{one.Vault}, one.ID()); err == nil {
		d.State = next.State()
	}
	return a.show(d, func(w io.Writer) {
		done := map[signet.Verb]string{signet.Approve: "approved", signet.Reject: "rejected"}[verb]
		fmt.Fprintf(w, "Intent %.8s %s as %s at %s. State: %s\n", d.ID, done, d.Person, strings.Join(d.Taken, ", "), d.State)
		a.down(taken.Failures())
	})
}

// noteNonce tells of other intents that would use the same nonce: the nodes allow one of them,
// and the others wait until it has ended. It stops nothing: who proposes in place of another
// intent wants that.
func (a *app) noteNonce(ctx context.Context, c *client.Circle, v client.Vault, s statement.Statement) {
	it, err := intent.Of(s)
	if err != nil {
		return
	}
	tx, err := evm.ParseUnsigned(it.Transaction)
	if err != nil {
		return
	}
	all, _, err := c.Cases(ctx, []client.Vault{v}, v.ID)
	if err != nil {
		a.say("note: whether another intent uses this nonce is not known: %v", err)
		return
	}
	for _, x := range client.SameNonce(all, it.Address, it.Chain, tx.Facts().Nonce) {
		if x.ID() != s.ID() {
			a.say("note: nonce %d of this address is used by intent %s (%s)", tx.Facts().Nonce, x.ID().Short(), x.State())
		}
	}
}

// examine shows what would be signed and refuses to sign what nobody can judge. Approving
// needs the copies of two nodes; rejecting is always possible.
func (a *app) examine(c *client.Circle, one *client.Case, verb signet.Verb) error {
	printFacts(a.err, one)
	if verb == signet.Reject {
		return nil
	}
	if err := judge(one); err != nil {
		return err
	}
	if nodes := slices.DeleteFunc(nodesOf(one), func(n string) bool { return slices.Contains(one.Doubted, n) }); len(nodes) < 2 {
		return notReady("add the circle's other nodes with `ostraka context add`, or wait until they answer", "only %s shows intent %s; approving compares the copies of two nodes", strings.Join(nodes, ", "), one.ID().Short())
	}
	a.say("%s", same(one))
	return nil
}

// judge refuses what nobody should approve.
func judge(one *client.Case) error {
	switch {
	case one.Stopped():
		return &client.AlarmError{Case: one}
	case !one.Decoded():
		return unverified("reject it, and ask "+one.Intent.Initiator+" what it should be", "intent %s cannot be decoded: %s", one.ID().Short(), one.Unclear)
	case one.Closed():
		if one.State() == client.Ended {
			return refused("propose it anew", "intent %s has ended: the vault's key went to another committee or threshold since it was proposed", one.ID().Short())
		}
		return refused("propose it anew", "intent %s is %s", one.ID().Short(), one.State())
	}
	if err := one.Intent.CheckTime(time.Now()); err != nil {
		return refused("propose it anew", "intent %s: %w", one.ID().Short(), err)
	}
	return nil
}

func (a *app) cancelCommand() *cobra.Command {
	var reason string
	c := &cobra.Command{
		Use: "cancel ID", Short: "Take back an intent that you proposed, before it is signed", Args: intentID,
		RunE: func(cmd *cobra.Command, args []string) error {
			ctx, cancel := a.within(cmd.Context(), time.Minute)
			defer cancel()
			return a.cancel(ctx, args[0], reason)
		},
	}
	c.Flags().StringVar(&reason, "reason", "", "why, for the others")
	return c
}

func (a *app) cancel(ctx context.Context, id, reason string) error {
	c, err := a.circle(ctx)
	if err != nil {
		return err
	}
	defer c.Close()
	_, one, failed, err := findCase(ctx, c, id)
	if err != nil {
		return err
	}
	a.down(failed)
	s, err := intent.Cancellation{
		Charter: one.Intent.Charter, Vault: one.Intent.Vault, Intent: one.ID(), Initiator: one.Intent.Initiator, Reason: reason, Created: client.Now(),
	}.Statement(client.NewSalt())
	if err != nil {
		return err
	}
	taken, err := c.SubmitStatement(ctx, s)
	if err != nil {
		return err
	}
	good, err := taken.Need("cancel intent "+one.ID().Short(), 1)
	if err != nil {
		return err
	}
	d := voteDocument{one.ID().String(), "cancel", one.Intent.Initiator, nil, failuresOf(taken.Failures()), "cancelled"}
	for _, x := range good {
		d.Taken = append(d.Taken, x.Node)
	}
	return a.show(d, func(w io.Writer) {
		fmt.Fprintf(w, "Intent %.8s taken back at %s.\n", d.ID, strings.Join(d.Taken, ", "))
		a.down(taken.Failures())
	})
}
