package main

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/ostraka/ostraka/client"
	"github.com/ostraka/ostraka/custody/sos/act"
	"github.com/ostraka/ostraka/custody/sos/plan"
	"github.com/ostraka/ostraka/custody/statement"
)

func (a *app) sosCommand() *cobra.Command {
	c := &cobra.Command{Use: "sos", Short: "Operators of a vault are gone: ask for its rescue, support it, stop it, see how far it is"}
	c.AddCommand(a.sosPlanCommand(), a.sosStatusCommand(), a.sosDrillCommand(), a.sosDeclareCommand(), a.sosSupportCommand(), a.sosActivateCommand(), a.sosAppealCommand(), a.sosVetoCommand(), a.sosChallengeCommand(), a.sosAliveCommand(), a.sosSweepCommand(), a.sosCallCommand(), a.sosReportCommand(), a.sosCloseCommand(), a.sosReleaseCommand(), a.sosDelayedCommand())
	return c
}

// pen is who signs in an SOS: a guardian with their key file, or an officer of an operator with an SSH key or passkey.
type pen struct {
	as, identity, passFile string
	yes                    bool

	only   string // the one role that signs this; empty: any
	role   string
	party  [16]byte // a guardian's, by their card
	circle *client.Circle
}

func (p *pen) flags(c *cobra.Command) {
	p.guardianFlags(c)
	c.Flags().Lookup("as").Usage = "who you are in the charter: the guardian's name, with your key file as --key; or the operator's, whose officer you are"
}

// officerFlags are of what officers alone sign.
func (p *pen) officerFlags(c *cobra.Command) {
	c.Flags().StringVar(&p.as, "as", "", "the operator whose officer you are, as the charter names it; your officer's key is --key")
	c.Flags().BoolVar(&p.yes, "yes", false, "sign without asking")
}

// guardianFlags are of what guardians alone sign.
func (p *pen) guardianFlags(c *cobra.Command) {
	f := c.Flags()
	f.StringVar(&p.as, "as", "", "the guardian that you are, as the charter names it; your key file is --key")
	f.StringVarP(&p.identity, "identity", "i", "", "private key that opens a guardian's key file: age's, one of its plugins', or SSH's (default: a passphrase)")
	f.StringVar(&p.passFile, "passphrase-file", "", "file with the passphrase of a guardian's key file, mode 0600 (default: it is asked for)")
	f.BoolVar(&p.yes, "yes", false, "sign without asking")
}

// open reads the key, which says in which role its owner signs. close ends what it opened.
func (p *pen) open(ctx context.Context, a *app) (end func(), err error) {
	if p.as == "" {
		return nil, usage("say who you are in the charter: --as NAME")
	}
	raw := []byte(nil)
	if a.key != "" {
		want := map[string]fileKind{"": fileSigner, act.Guardian: fileGuardianKey, act.Operator: fileOfficer}[p.only]
		if raw, err = a.readAs("--key", a.key, want, maxKeyFile); err != nil {
			return nil, err
		}
	}
	if !isGuardianFile(raw) {
		p.role = act.Operator
		p.circle, err = a.circle(ctx)
		if err != nil {
			return nil, err
		}
		return p.circle.Close, nil
	}
	_, chosen, err := a.chosen()
	if err != nil {
		return nil, err
	}
	k, err := a.openGuardianFile(a.key, raw, p.identity, p.passFile)
	if err != nil {
		return nil, err
	}
	ssh, err := k.Signer()
	var signer *client.Signer
	if err == nil {
		signer, err = client.NewSigner(ssh)
	}
	if err != nil {
		k.Wipe()
		return nil, err
	}
	if card, err := k.Card(); err == nil {
		p.party = card.Party()
	}
	p.role, p.circle = act.Guardian, client.Dial(chosen, signer, client.Cache{}) // a guardian has no token, and needs none
	return func() { p.circle.Close(); k.Wipe() }, nil
}

// known refuses a name that the vault's plan does not have in the signer's role: the nodes would, and less clearly.
func (p *pen) known(r client.Rescue) error {
	names := map[string][]string{act.Guardian: r.Guardians, act.Operator: r.Operators}[p.role]
	if i := slices.IndexFunc(r.Seats, func(s client.Seat) bool { return s.Party == p.party }); p.role == act.Guardian && i >= 0 && r.Seats[i].Name != p.as {
		return refused("give --as "+r.Seats[i].Name+", or --key the key file of "+p.as, "--as %s: the key file is %s's, by the nodes' list of guardians of vault %s", p.as, r.Seats[i].Name, r.Name)
	}
	if slices.Contains(names, p.as) {
		return nil
	}
	return refused("give --as one of them, and --key the key that belongs to it", "%s is no %s of vault %s, and the key given is a %s's; there are: %s", p.as, p.role, r.Name, p.role, strings.Join(names, ", "))
}

// rescue is a vault's as the nodes show it, if whoever signs has a place in its plan.
func (p *pen) rescue(ctx context.Context, a *app, vault string) (r client.Rescue, err error) {
	all, failed, err := p.circle.Rescues(ctx)
	if err != nil {
		return r, err
	}
	a.down(failed)
	if r, err = a.findRescue(ctx, p.circle, all, vault); err == nil {
		err = p.known(r)
	}
	return r, err
}

// findRescue finds a vault that has a plan. Nodes show everybody no vault without one: whether there is one of that name, who may read vaults is told.
func (a *app) findRescue(ctx context.Context, c *client.Circle, all []client.Rescue, vault string) (client.Rescue, error) {
	r, err := client.FindRescue(all, vault)
	if err == nil || c.Signer() == nil {
		return r, unplanned(err, vault, nil)
	}
	vaults, _, unread := c.Vaults(ctx)
	if unread != nil {
		vaults = nil // a guardian has no token
	}
	return r, unplanned(err, vault, vaults)
}

// unplanned says which it is, of a vault that no node shows a plan of: it has none, or there is no such vault. Without the vaults it says both.
func unplanned(err error, vault string, vaults []client.Vault) error {
	if err == nil {
		return nil
	}
	var names []string
	for _, v := range vaults {
		if v.Name == vault && v.SOS != nil {
			return notReady("`ostraka vault show NAME` shows what the vault waits for", "vault %s has an SOS plan, and no node that answered shows it yet", vault)
		}
		if v.Name == vault {
			return refused("an amendment of the charter brings one (`ostraka charter amend`); docs/charter.md says what a plan needs", "vault %s has no SOS plan: its charter names no `rescue`", vault)
		}
		names = append(names, v.Name)
	}
	if len(names) > 0 {
		return fail(codeError, fmt.Errorf("no vault is called %.64q; there are: %s", vault, strings.Join(names, ", ")), "`ostraka vault list` shows your vaults, `ostraka sos status` those with an SOS plan")
	}
	return fail(codeError, err, "check the name with `ostraka sos status`, which shows every vault that has a plan: the charter of any other names no `rescue`")
}

// hand shows a statement, asks, signs it, and hands it to every node.
func (p *pen) hand(ctx context.Context, a *app, s statement.Statement, question string) (handed, error) {
	a.say("You sign, as %s %s:\n", p.role, p.as)
	for line := range strings.Lines(string(s.Bytes())) {
		a.say("  %s", strings.TrimSuffix(line, "\n"))
	}
	if err := a.confirm(p.yes, question); err != nil {
		return handed{}, err
	}
	return p.send(ctx, a, s)
}

// send signs and hands in, without a question of its own.
func (p *pen) send(ctx context.Context, a *app, s statement.Statement) (handed, error) {
	taken, err := p.circle.SubmitStatement(ctx, s)
	if err == nil {
		_, err = taken.Need("hand in the "+string(s.Kind()), 1)
	}
	if err != nil {
		return handed{}, err
	}
	a.down(taken.Failures())
	out := handed{ID: s.ID().String(), Kind: string(s.Kind()), Role: p.role, By: p.as, Taken: []string{}, Failed: failuresOf(taken.Failures())}
	for _, x := range taken.Good() {
		out.Taken = append(out.Taken, x.Node)
	}
	return out, nil
}

// handed is a statement that nodes took.
type handed struct {
	ID     string            `json:"id"`
	Kind   string            `json:"kind"`
	Role   string            `json:"role"`
	By     string            `json:"by"`
	Taken  []string          `json:"taken"`
	Failed []failureDocument `json:"failed"`
}

func (h handed) print(w io.Writer) {
	fmt.Fprintf(w, "%s %.8s of %s %s: taken by %s\n", h.Kind, h.ID, h.Role, h.By, strings.Join(h.Taken, ", "))
}

// plea is what a person asks for.
type plea struct {
	pen
	vault, trigger, reason, document, challenge, of string
	subjects, contacts                              []string
}

func (a *app) sosDeclareCommand() *cobra.Command {
	var p plea
	c := &cobra.Command{
		Use: "declare --vault VAULT --trigger TRIGGER --subject OPERATOR… --reason TEXT --as NAME", Short: "Ask for SOS of a vault, as a guardian or an operator's officer, and support it", Args: none,
		Long: "Makes a request from what two nodes or more say alike, shows it, asks, signs it, and hands it to every node; then signs your own support of it. Nothing moves\n" +
			"by that: it is declared once as many support it as the plan wants, everybody is told at once, and then the delay runs. `ostraka sos status` shows it.\n\n" +
			"TRIGGER: silence, below-threshold (nodes count for themselves how long), refusal (after `ostraka sos challenge`), compromise, legal (with --document).\n" +
			"On silence a guardian says whom they tried to reach, with --contact, or does not count.\n\n" +
			"A request is about the keys of one committee. After an emergency that left a key, a vault may have several: --of KEY says which, and without it you are told.",
		Example: "  ostraka sos declare --vault treasury --trigger silence --subject cora --reason \"no sign of life since Monday\" --as guardian-1 --key guardian.age --contact \"telephone: rang out\"",
		RunE:    func(c *cobra.Command, _ []string) error { return a.sosDeclare(c.Context(), &p) },
	}
	f := c.Flags()
	p.flags(c)
	f.StringVar(&p.vault, "vault", "", "the vault")
	f.StringVar(&p.trigger, "trigger", "", "why: "+strings.Join(statement.SOSTriggers, ", "))
	f.StringArrayVar(&p.subjects, "subject", nil, "operator that is lost (may be repeated)")
	f.StringVar(&p.of, "of", "", "key whose committee it is about, where the subjects sit in several: 8 or more hex digits")
	f.StringVar(&p.reason, "reason", "", "what happened, for everybody: it is public")
	f.StringVar(&p.document, "document", "", "file that says so: its SHA-256 is in the request, the file stays here")
	f.StringVar(&p.challenge, "challenge", "", "id of the challenge that the subject did not answer (all 64 digits)")
	f.StringArrayVar(&p.contacts, "contact", nil, "whom you tried to reach, how, and what came of it (may be repeated)")
	return c
}

func (a *app) sosDeclare(c context.Context, p *plea) error {
	missing := []string{}
	for _, x := range []struct {
		flag  string
		given bool
	}{{"--vault", p.vault != ""}, {"--trigger", p.trigger != ""}, {"--subject", len(p.subjects) > 0}, {"--reason", p.reason != ""}} {
		if !x.given {
			missing = append(missing, x.flag)
		}
	}
	switch {
	case len(missing) > 0:
		return usage("give %s", strings.Join(missing, " and "))
	case !slices.Contains(statement.SOSTriggers, p.trigger):
		return usage("--trigger %q: it is one of %s", p.trigger, strings.Join(statement.SOSTriggers, ", "))
	}
	ctx, cancel := a.within(c, 5*time.Minute)
	defer cancel()
	end, err := p.open(ctx, a)
	if err != nil {
		return err
	}
	defer end()
	if p.role == act.Operator && len(p.contacts) > 0 {
		return usage("--contact: a guardian says whom they tried to reach, an operator's officer does not")
	}
	r, err := p.rescue(ctx, a, p.vault)
	if err != nil {
		return err
	}
	if err := served(r, p.trigger); err != nil {
		return err
	}
	if err := p.reached(p.trigger, p.contacts); err != nil {
		return err
	}
	s, err := p.request(r)
	if err != nil {
		return err
	}
	asked, err := p.hand(ctx, a, s, "Ask for SOS of vault "+r.Name+", and support it?")
	if err != nil {
		return err
	}
	q, err := act.RequestOf(s)
	if err != nil {
		return err
	}
	if p.role == act.Guardian {
		a.noteSeen(q.ID)
	}
	support, err := act.Support{Head: q.Head(), Role: p.role, By: p.as, Contacts: p.contacts, Created: client.Now()}.Statement(client.NewSalt())
	if err != nil {
		return err
	}
	own, err := p.send(ctx, a, support)
	if err != nil {
		return fmt.Errorf("request %s stands, and your own support does not yet (`ostraka sos support` gives it): %w", q.ID.Short(), err)
	}
	doc := struct {
		Request handed `json:"request"`
		Support handed `json:"support"`
	}{asked, own}
	return a.show(doc, func(w io.Writer) {
		asked.print(w)
		own.print(w)
		fmt.Fprintf(w, "\nNothing moves yet. Tell the guardians and operators the request's id: %s\n", asked.ID)
	})
}

// request is the statement of a plea, under what the nodes say alike.
func (p *plea) request(r client.Rescue) (statement.Statement, error) {
	for _, s := range p.subjects {
		if !slices.Contains(r.Operators, s) {
			return statement.Statement{}, usage("--subject %q holds no share of vault %s; its operators: %s", s, r.Name, strings.Join(r.Operators, ", "))
		}
	}
	all, err := r.Drafts(client.Now(), slices.Compact(slices.Sorted(slices.Values(p.subjects))))
	if err != nil {
		return statement.Statement{}, err
	}
	q, err := chosen(r, all, p.of)
	if err != nil {
		return statement.Statement{}, err
	}
	q.Trigger, q.Reason, q.Role, q.By = p.trigger, p.reason, p.role, p.as
	if p.document != "" {
		raw, err := readBounded(p.document, 64<<20)
		if err != nil {
			return statement.Statement{}, fmt.Errorf("read the document: %w", err)
		}
		q.Document = sha256.Sum256(raw)
	}
	if p.challenge != "" {
		if q.Challenge, err = statement.ParseID(p.challenge); err != nil {
			return statement.Statement{}, usage("--challenge: %w", err)
		}
	}
	s, err := q.Statement(client.NewSalt())
	if err != nil {
		return s, usage("%w", err)
	}
	return s, nil
}

// chosen is the request of the committee that holds a key. After an emergency that left a key, an operator may sit in several committees: each is asked for by itself, whichever is chosen first.
func chosen(r client.Rescue, all []act.Request, of string) (act.Request, error) {
	if of == "" && len(all) == 1 {
		return all[0], nil
	}
	text := ""
	for _, q := range all {
		for _, k := range q.Keys {
			if of != "" && len(of) >= 8 && strings.HasPrefix(hex.EncodeToString(k.Key[:]), of) {
				return q, nil
			}
		}
		h := r.Holders[q.Keys[0].Key]
		text += fmt.Sprintf("\n  --of %x: because of %s, of %d keys that %d of %s sign with", q.Keys[0].Key[:6], strings.Join(q.Subjects, ", "), len(q.Keys), h.Threshold, strings.Join(h.Operators, ", "))
	}
	if of != "" {
		return act.Request{}, usage("--of %q: give 8 or more hex digits of a key that one of the subjects holds a share of:%s", of, text)
	}
	return act.Request{}, usage("they sit in several committees of vault %s, and a request is about the keys of one. Make one, and the next once it is closed or over:%s", r.Name, text)
}

// answerSOS is what a person says to a request that is there.
func (a *app) answerSOS(c context.Context, p *pen, id string, least int, question string, say func(client.RescueRequest) (statement.Statement, error)) error {
	ctx, cancel := a.within(c, 5*time.Minute)
	defer cancel()
	end, err := p.open(ctx, a)
	if err != nil {
		return err
	}
	defer end()
	all, failed, err := p.circle.Rescues(ctx)
	if err != nil {
		return err
	}
	a.down(failed)
	r, q, err := client.FindRequest(all, id)
	if err == nil {
		err = p.known(r)
	}
	if err != nil {
		return err
	}
	if len(q.Views) < least {
		return notReady("wait until the request is at the others, or ask whoever made it to hand it in again", "only %d node shows request %s, and %d are needed: one alone could show what the others never had", len(q.Views), q.ID.Short(), least)
	}
	printRequest(a.err, r, q)
	s, err := say(q)
	if err != nil {
		return err
	}
	doc, err := p.hand(ctx, a, s, question)
	if err != nil {
		return err
	}
	return a.show(doc, doc.print)
}

func (a *app) sosSupportCommand() *cobra.Command {
	var p pen
	var o answering
	var contacts []string
	var send string
	c := &cobra.Command{
		Use: "support REQUEST --as NAME | --request FILE --out FILE | --send FILE", Short: "Support a request: as a guardian, or as an operator's officer, whose consent it is; later, as a guardian, contribute to it", Args: oneAtMost,
		Long: "Shows the request as the nodes have it, asks, signs, and hands the support to every node. Call the operators that are said to be lost first, by a number that\n" +
			"you wrote down earlier, and say with --contact what came of it: on silence a guardian who does not say so does not count.\n\n" +
			"Once the delay is over guardians contribute. --request reads a file of `ostraka sos appeal`, verifies all of it without a network, shows what is asked, refuses before its\n" +
			"time, and writes a contribution with your key file; nothing secret leaves. The delay runs on your clock too, from when your program had the request first: look at a file\n" +
			"early, it is noted beside the key file. What was answered is noted there as well, and given again; two different answers would be void. --send hands a contribution to\n" +
			"every node; anybody may.",
		Example: "  ostraka sos support 12345678 --as guardian-1 --key guardian.age --contact \"telephone: rang out\"\n" +
			"  ostraka sos support --request treasury.appeal --key guardian.age --out guardian-1.contribution\n  ostraka sos support --send guardian-1.contribution",
		RunE: func(c *cobra.Command, args []string) error {
			switch given := len(args) + btoi(o.request != "") + btoi(send != ""); {
			case given != 1:
				return usage("give the id of a request, or --request FILE, or --send FILE")
			case o.request != "":
				return a.sosAnswer(&p, o)
			case o != (answering{}):
				return usage("--out and --charter belong to --request FILE")
			case send != "":
				return a.sosSend(c.Context(), send)
			}
			return a.answerSOS(c.Context(), &p, args[0], 2, "Support it?", func(q client.RescueRequest) (statement.Statement, error) {
				if p.role == act.Operator && len(contacts) > 0 {
					return statement.Statement{}, usage("--contact: a guardian says whom they tried to reach, an operator's officer does not")
				}
				if err := p.reached(q.Trigger, contacts); err != nil {
					return statement.Statement{}, err
				}
				if p.role == act.Guardian {
					a.noteSeen(q.ID)
				}
				return act.Support{Head: q.Head(), Role: p.role, By: p.as, Contacts: contacts, Created: client.Now()}.Statement(client.NewSalt())
			})
		},
	}
	p.flags(c)
	f := c.Flags()
	f.StringArrayVar(&contacts, "contact", nil, "whom you tried to reach, how, and what came of it (may be repeated)")
	f.StringVar(&o.request, "request", "", "file of ostraka sos appeal to contribute to, offline")
	f.StringVar(&o.out, "out", "", "with --request: file for the contribution")
	f.StringVar(&o.charter, "charter", "", "with --request: the charter's id as you were told it, all 64 digits (default: its beginning is asked for)")
	f.StringVar(&send, "send", "", "file with a contribution, to hand to every node")
	return c
}

// reached refuses what nodes would take and not count: on silence a guardian says whom they tried to reach (spec/sos 2.3).
func (p *pen) reached(trigger string, contacts []string) error {
	if p.role == act.Guardian && trigger == plan.Silence && len(contacts) == 0 {
		return usage("give --contact: on silence a guardian who does not say whom they tried to reach, how, and what came of it does not count, as in --contact \"telephone: rang out\"")
	}
	return nil
}

// served refuses a trigger that the vault's plan does not have: no node would declare such a request.
func served(r client.Rescue, trigger string) error {
	if len(r.Triggers) == 0 || slices.Contains(r.Triggers, trigger) { // a node that does not say it judges what it is given
		return nil
	}
	return usage("--trigger %s: the plan of vault %s does not have it; it has: %s", trigger, r.Name, strings.Join(r.Triggers, ", "))
}

// noteSeen notes that a guardian had a request: their own delay runs from then on.
func (a *app) noteSeen(request statement.ID) {
	if _, err := client.DiaryOf(a.key).FirstSeen(request, time.Now()); err != nil {
		a.say("That you saw the request is not noted (%v): the delay on your own clock begins when you look at a file of `ostraka sos appeal`, where it can be noted.", err)
	}
}

func btoi(b bool) int {
	if b {
		return 1
	}
	return 0
}

func (a *app) sosVetoCommand() *cobra.Command {
	p := pen{only: act.Guardian}
	var reason string
	c := &cobra.Command{
		Use: "veto REQUEST --as GUARDIAN --reason TEXT", Short: "Stop a request, as a guardian: enough vetoes end it", Args: exactly("REQUEST"),
		Long: "Enough of them (m − k + 1 of m guardians) end the request at every node. One that comes after a node gave its part is late, and is kept beside the others.\n" +
			"A node that alone shows the request is enough: nobody keeps a veto back by hiding it.",
		RunE: func(c *cobra.Command, args []string) error {
			if reason == "" {
				return usage("say why, for everybody: --reason TEXT")
			}
			return a.answerSOS(c.Context(), &p, args[0], 1, "Veto it?", func(q client.RescueRequest) (statement.Statement, error) {
				if p.role != act.Guardian {
					return statement.Statement{}, usage("guardians veto: give your key file, --key FILE")
				}
				if text := lateVeto(q); text != "" {
					a.say("%s", text)
				}
				return act.Veto{Head: q.Head(), By: p.as, Reason: reason, Created: client.Now()}.Statement(client.NewSalt())
			})
		},
	}
	p.guardianFlags(c)
	c.Flags().StringVar(&reason, "reason", "", "why, for everybody: it is public")
	return c
}

// lateVeto says what a veto still does once parts were given (spec/sos 3.5, 3.9); "" before.
func lateVeto(q client.RescueRequest) string {
	gave := slices.ContainsFunc(activationsOf(q), func(x activationDocument) bool { return len(x.Gave) > 0 })
	switch {
	case len(renewed(q)) > 0:
		return "New shares exist already: vetoes do not undo them. Enough of them lock a vault up at once that is still ACTIVE, so that it pays to its rescue addresses alone; after that a veto is kept for everybody to see, and moves nothing."
	case gave:
		return "Parts were given already, which nobody can take back: new shares may come of them all the same. Enough vetoes lock the vault up at once, and nothing more is given."
	}
	return ""
}

func (a *app) sosChallengeCommand() *cobra.Command {
	var p pen
	var vault, operator, reason string
	c := &cobra.Command{
		Use: "challenge --vault VAULT --operator OPERATOR --as NAME", Short: "Call on an operator that lives to sign: refusal counts from then on", Args: none,
		Long: "What it prints is the challenge's id, which `ostraka sos declare --trigger refusal --challenge ID` names.",
		RunE: func(c *cobra.Command, _ []string) error {
			if vault == "" || operator == "" {
				return usage("give --vault and --operator")
			}
			ctx, cancel := a.within(c.Context(), 5*time.Minute)
			defer cancel()
			end, err := p.open(ctx, a)
			if err != nil {
				return err
			}
			defer end()
			r, err := p.rescue(ctx, a, vault)
			if err != nil {
				return err
			}
			if !slices.Contains(r.Operators, operator) {
				return usage("--operator %q holds no share of vault %s; its operators: %s", operator, r.Name, strings.Join(r.Operators, ", "))
			}
			all, err := r.Drafts(client.Now(), []string{operator})
			if err != nil {
				return err
			}
			q := all[0] // the keys are no matter
			s, err := act.Challenge{Drill: q.Drill, Charter: q.Charter, Vault: q.Vault, Operator: operator, Reason: reason, Role: p.role, By: p.as, Created: q.Created}.Statement(client.NewSalt())
			if err != nil {
				return err
			}
			doc, err := p.hand(ctx, a, s, "Call on "+operator+" to sign?")
			if err != nil {
				return err
			}
			return a.show(doc, func(w io.Writer) {
				doc.print(w)
				fmt.Fprintf(w, "\nIf it goes on refusing: ostraka sos declare --trigger refusal --challenge %s …\n", doc.ID)
			})
		},
	}
	p.flags(c)
	f := c.Flags()
	f.StringVar(&vault, "vault", "", "the vault")
	f.StringVar(&operator, "operator", "", "the operator that is to sign")
	f.StringVar(&reason, "reason", "", "what it does not sign, for everybody: it is public")
	return c
}
