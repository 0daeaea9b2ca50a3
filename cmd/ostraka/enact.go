package main

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"path/filepath"
	"strings"
	"time"

	"connectrpc.com/connect"
	"github.com/spf13/cobra"

	v1 "github.com/ostraka/ostraka/api/ostraka/v1"
	"github.com/ostraka/ostraka/client"
	"github.com/ostraka/ostraka/custody/charter"
	"github.com/ostraka/ostraka/custody/review"
	"github.com/ostraka/ostraka/custody/statement"
)

// reviewedCharter reads the charter of a folder and refuses it if it breaks a control rule.
func reviewedCharter(folder string) (charter.Document, error) {
	d, err := readCharter(folder)
	if err != nil {
		return d, err
	}
	if _, err := readPolicy(folder, d); err != nil {
		return d, err
	}
	r, err := reviewIn(folder, d)
	if err != nil {
		return d, err
	}
	if n := r.Broken(); n > 0 {
		var all []string
		for _, v := range r.Vaults {
			for _, b := range v.Broken {
				all = append(all, fmt.Sprintf("vault %s: %v", v.Name, b))
			}
		}
		return d, refused("change what each of them names; `ostraka charter lint` shows the control numbers", "the charter in %s breaks %d control rules: %s", folder, n, strings.Join(all, "; "))
	}
	return d, nil
}

// sameCharter holds a folder's charter to the one in force at the operator's own node.
func (a *app) sameCharter(ctx context.Context, folder string) error {
	d, err := reviewedCharter(folder)
	if err != nil {
		return err
	}
	own, err := client.OpenOwn(ctx, a.dir)
	if err != nil {
		return a.operatorError(err)
	}
	x, err := own.Rules().Charter()
	if err != nil {
		return err
	}
	if !charter.SameDocument(d, x.Document) {
		return refused("`ostraka charter show` shows what is in force", "the charter in %s is not %s: they differ in %s", folder, x.Title(), strings.Join(charter.Differences(x.Document, d), ", "))
	}
	return nil
}

// files are the two files of a charter's folder, as the node reads them again.
func files(folder string) (*v1.PrepareCharterRequest, error) {
	file, err := readBounded(filepath.Join(folder, charterFile), charter.MaxDocument)
	if err != nil {
		return nil, err
	}
	rules, err := readBounded(filepath.Join(folder, policyFile), charter.MaxDocument)
	return &v1.PrepareCharterRequest{File: file, Policy: rules}, err
}

func (a *app) charterSignCommand() *cobra.Command {
	var id string
	var yes bool
	c := &cobra.Command{
		Use: "sign [FOLDER]", Short: "Sign a version of the charter as this operator's officer; every operator does so on its own node", Args: oneAtMost,
		Long: "Reads your own copy of the charter from FOLDER, shows what it changes, and signs it; or, with --id, the version that\n" +
			"others have signed. When an officer of every operator of the roster has signed, the nodes put it in force: at once if\n" +
			"it is stricter throughout, else after the charter's delay, during which any operator may veto it.",
		RunE: func(c *cobra.Command, args []string) error {
			if (id != "") == (len(args) > 0) {
				return usage("give the folder of your copy, or --id ID of the version that waits")
			}
			return a.signCharter(c.Context(), args, id, yes)
		},
	}
	c.Flags().StringVar(&id, "id", "", "sign the waiting version whose id begins so")
	c.Flags().BoolVar(&yes, "yes", false, "sign without asking")
	return c
}

func oneAtMost(c *cobra.Command, args []string) error {
	if len(args) > 1 {
		return usage("`%s` takes one argument at most, not %d", c.CommandPath(), len(args))
	}
	return nil
}

func (a *app) charterAmendCommand() *cobra.Command {
	var yes bool
	c := &cobra.Command{
		Use: "amend FOLDER", Short: "Propose, or agree to, another version of the charter that is in force", Args: exactly("FOLDER"),
		Long: "Shows what differs from the charter in force, and what of it is looser, before it asks. As `ostraka charter sign`.",
		RunE: func(c *cobra.Command, args []string) error {
			ctx, cancel := a.within(c.Context(), 15*time.Second)
			defer cancel()
			s, err := client.Operator(a.dir).Status(ctx, connect.NewRequest(&v1.StatusRequest{}))
			if err != nil {
				return a.operatorError(err)
			}
			if len(s.Msg.Charter) == 0 {
				return notReady("every operator runs `ostraka charter sign FOLDER` first", "no charter is in force yet: there is nothing to amend")
			}
			return a.signCharter(c.Context(), args, "", yes)
		},
	}
	c.Flags().BoolVar(&yes, "yes", false, "sign without asking")
	return c
}

func (a *app) signCharter(c context.Context, folder []string, id string, yes bool) error {
	req := &v1.PrepareCharterRequest{Id: id}
	if len(folder) > 0 {
		// Here first: the error names the file.
		if _, err := reviewedCharter(folder[0]); err != nil {
			return err
		}
		var err error
		if req, err = files(folder[0]); err != nil {
			return err
		}
	}
	ctx, cancel := a.within(c, 5*time.Minute)
	defer cancel()
	res, err := client.Operator(a.dir).PrepareCharter(ctx, connect.NewRequest(req))
	if err != nil {
		return a.operatorError(err)
	}
	var renewed []string
	doc, err := a.accept(ctx, res.Msg, statement.Charter, yes, func(w io.Writer, s statement.Statement) error {
		if renewed, err = a.renewedBy(ctx, s); err != nil {
			return err
		}
		return describeCharter(w, s, res.Msg, renewed)
	})
	if err != nil {
		return err
	}
	return a.show(doc, func(w io.Writer) {
		if len(renewed) > 0 {
			defer fmt.Fprintf(w, "Once it is in force and `ostraka vault show` has the new shares, cut the backups of %s again: `ostraka backup coverage` lists them.\n", strings.Join(renewed, ", "))
		}
		switch wait := time.Duration(res.Msg.Wait) * time.Second; {
		case len(doc.Missing) > 0:
			fmt.Fprintf(w, "Charter %.8s signed. Still to sign: %s\n\nNext: they run `ostraka charter sign` with a copy that says the same, or with --id %.8s.\n", doc.ID, strings.Join(doc.Missing, ", "), doc.ID)
		case wait > 0:
			fmt.Fprintf(w, "Charter %.8s is signed by all. It is looser in part: each node puts it in force after %s, unless an operator vetoes it.\n\nNext: `ostraka charter show --pending`.\n", doc.ID, wait)
		case len(res.Msg.Changes) > 0:
			fmt.Fprintf(w, "Charter %.8s is signed by all: the nodes put it in force now. What was proposed under the version before must be proposed anew.\n\nNext: `ostraka charter show`.\n", doc.ID)
		default:
			fmt.Fprintf(w, "Charter %.8s is signed by all: the nodes put it in force now.\n\nNext: `ostraka vault create VAULT` on every node of the committee.\n", doc.ID)
		}
	})
}

// renewedBy lists the vaults that get new shares with a version of the charter, by the one in force at our own node.
func (a *app) renewedBy(ctx context.Context, s statement.Statement) ([]string, error) {
	x, err := charter.Of(s)
	if err != nil || x.Version == 0 {
		return nil, err
	}
	own, err := client.OpenOwn(ctx, a.dir)
	if err != nil {
		return nil, a.operatorError(err)
	}
	was, err := own.Rules().Charter()
	if err != nil {
		return nil, err
	}
	return was.Renewed(x.Document), nil
}

// describeCharter shows a version in full where it is the first, else what it changes.
func describeCharter(w io.Writer, s statement.Statement, p *v1.PrepareResponse, renewed []string) error {
	x, err := charter.Of(s)
	if err != nil {
		return err
	}
	fmt.Fprintf(w, "Charter of circle %q, version %d, made %s, id %s\n", x.Circle, x.Version, statement.FormatTime(x.Created), x.ID)
	if x.Drill {
		fmt.Fprintln(w, "  DRILL: its delays may be seconds. Hold nothing of value under it.")
	}
	if x.Version == 0 {
		for _, line := range strings.Split(strings.TrimSpace(s.Text()), "\n") {
			fmt.Fprintf(w, "  %s\n", line)
		}
		return nil
	}
	for _, c := range p.Changes {
		fmt.Fprintf(w, "  %s\n", charter.Change{What: c.What, Was: c.Was, Is: c.Is, Looser: c.Looser})
	}
	if len(p.Changes) == 0 {
		fmt.Fprintln(w, "  It says the same as the one in force.")
	}
	for _, line := range renewal(renewed) {
		fmt.Fprintf(w, "  %s\n", line)
	}
	return nil
}

func (a *app) charterVetoCommand() *cobra.Command {
	var reason string
	var yes bool
	c := &cobra.Command{
		Use: "veto ID", Short: "Take this operator's consent to a waiting version of the charter back: it will not come into force", Args: exactly("ID"),
		Long: "One operator suffices, until the version is in force: before all officers have signed, and during the charter's delay.\n" +
			"`ostraka charter show --pending` lists ids.",
		RunE: func(c *cobra.Command, args []string) error {
			ctx, cancel := a.within(c.Context(), 5*time.Minute)
			defer cancel()
			res, err := client.Operator(a.dir).PrepareVeto(ctx, connect.NewRequest(&v1.PrepareVetoRequest{Id: args[0], Reason: reason}))
			if err != nil {
				return a.operatorError(err)
			}
			return a.oneStatement(ctx, res.Msg, statement.Veto, yes, "Vetoed: that version of the charter does not come into force at any node that has not put it in force before.")
		},
	}
	c.Flags().StringVar(&reason, "reason", "", "why, for the others")
	c.Flags().BoolVar(&yes, "yes", false, "sign without asking")
	return c
}

// oneStatement has the officer sign what one operator says at once.
func (a *app) oneStatement(ctx context.Context, p *v1.PrepareResponse, kind statement.Kind, yes bool, done string) error {
	doc, err := a.accept(ctx, p, kind, yes, func(w io.Writer, s statement.Statement) error {
		for _, line := range strings.Split(strings.TrimSpace(s.Text()), "\n") {
			fmt.Fprintf(w, "  %s\n", line)
		}
		return nil
	})
	if err != nil {
		return err
	}
	if kind == statement.Freeze && len(doc.Missing) > 0 { // the third within 30 days
		others := strings.Join(doc.Missing, " or ")
		err := a.show(doc, func(w io.Writer) { fmt.Fprintln(w, "Signed, and NOT in effect.") })
		return cmp.Or(err, notReady("call "+others+": its officer runs the same command, and the vault is frozen",
			"the vault is not frozen: this operator froze it twice within 30 days alone, so that another that holds it must freeze it too"))
	}
	return a.show(doc, func(w io.Writer) {
		if len(doc.Missing) > 0 {
			fmt.Fprintf(w, "Signed. It takes effect when %s sign it too.\n", strings.Join(doc.Missing, ", "))
			return
		}
		fmt.Fprintln(w, done)
	})
}

func (a *app) freezeCommand() *cobra.Command {
	var reason string
	var hours uint32
	var yes bool
	c := &cobra.Command{
		Use: "freeze VAULT", Short: "Keep a vault from signing at once, for 72 hours at most", Args: exactly("VAULT"),
		Long: "Any operator that holds the vault freezes it alone, twice within 30 days. A third of its\nfreezes holds nothing: another operator that holds the vault then freezes it.",
		RunE: func(c *cobra.Command, args []string) error {
			if hours < 1 || hours > uint32(charter.MaxFreeze/time.Hour) {
				return usage("--hours is 1 to 72")
			}
			ctx, cancel := a.within(c.Context(), 5*time.Minute)
			defer cancel()
			v, err := a.ownVault(ctx, args[0])
			if err != nil {
				return err
			}
			res, err := client.Operator(a.dir).PrepareFreeze(ctx, connect.NewRequest(&v1.PrepareFreezeRequest{Vault: v.Id, Seconds: hours * 3600, Reason: reason}))
			if err != nil {
				return a.operatorError(err)
			}
			return a.oneStatement(ctx, res.Msg, statement.Freeze, yes, fmt.Sprintf("Vault %s is frozen: it signs nothing for %d hour%s.\n\nNext: every operator that holds it runs `ostraka charter unfreeze %s` to end it before.", v.Name, hours, map[bool]string{false: "s"}[hours == 1], v.Name))
		},
	}
	c.Flags().StringVar(&reason, "reason", "", "why, for the others")
	c.Flags().Uint32Var(&hours, "hours", 72, "how long")
	c.Flags().BoolVar(&yes, "yes", false, "sign without asking")
	return c
}

func (a *app) unfreezeCommand() *cobra.Command {
	var yes bool
	c := &cobra.Command{
		Use: "unfreeze VAULT", Short: "Agree that a frozen vault signs again; every operator that holds it must", Args: exactly("VAULT"),
		Long: "Agree that a frozen vault signs again; every operator that holds it must. What approvers approved meanwhile is signed the moment the last one agrees:\n" +
			"have what was suspicious cancelled or rejected first (`ostraka tx list`, `tx cancel`, `tx reject`).",
		RunE: func(c *cobra.Command, args []string) error {
			ctx, cancel := a.within(c.Context(), 5*time.Minute)
			defer cancel()
			v, err := a.ownVault(ctx, args[0])
			if err != nil {
				return err
			}
			res, err := client.Operator(a.dir).PrepareUnfreeze(ctx, connect.NewRequest(&v1.PrepareUnfreezeRequest{Vault: v.Id}))
			if err != nil {
				return a.operatorError(err)
			}
			return a.oneStatement(ctx, res.Msg, statement.Unfreeze, yes, fmt.Sprintf("Vault %s signs again, and at once what was approved before: `ostraka tx list`.", v.Name))
		},
	}
	c.Flags().BoolVar(&yes, "yes", false, "sign without asking")
	return c
}

// rules reads the charter from every node of the context, or only from the operator's own.
func (a *app) rules(ctx context.Context, local bool) (client.Rules, []client.Failure, error) {
	if local {
		own, err := client.OpenOwn(ctx, a.dir)
		if err != nil {
			return client.Rules{}, nil, a.operatorError(err)
		}
		return own.Rules(), nil, nil
	}
	c, err := a.circle(ctx)
	if err != nil {
		return client.Rules{}, nil, err
	}
	defer c.Close()
	return c.Rules(ctx)
}

type charterDocument struct {
	ID        string            `json:"id"`
	Version   uint64            `json:"version"`
	Drill     bool              `json:"drill"`
	Statement string            `json:"statement"`
	Pending   []pendingDocument `json:"pending"`
	Revoked   []revokedDocument `json:"revoked"`
	Frozen    []frozenDocument  `json:"frozen"`
	Failed    []failureDocument `json:"failed"`
}

type pendingDocument struct {
	ID        string            `json:"id"`
	Version   uint64            `json:"version"`
	Signed    []string          `json:"signed"`
	Missing   []string          `json:"missing"`
	Awaited   []string          `json:"awaited"` // nodes that have not put it in force
	Vetoed    []string          `json:"vetoed"`
	Due       map[string]string `json:"due"` // by node
	Changes   []changeDocument  `json:"changes"`
	Statement string            `json:"statement"`
}

type revokedDocument struct {
	Person string `json:"person"`
	Key    string `json:"key"`
	Reason string `json:"reason,omitempty"`
}

type frozenDocument struct {
	Vault    string   `json:"vault"`
	Operator string   `json:"operator"`
	Expires  string   `json:"expires"`
	Reason   string   `json:"reason,omitempty"`
	Nodes    []string `json:"nodes"`
}

func charterOf(r client.Rules, failed []client.Failure) (charterDocument, error) {
	d := charterDocument{Pending: []pendingDocument{}, Revoked: []revokedDocument{}, Frozen: []frozenDocument{}, Failed: failuresOf(failed)}
	x, err := r.Charter()
	if err == nil {
		d.ID, d.Version, d.Drill, d.Statement = x.ID.String(), x.Version, x.Drill, r.Enacted[len(r.Enacted)-1].Statement.Text()
	} else if len(r.Pending) == 0 {
		return d, err
	}
	for _, p := range r.Pending {
		one := pendingDocument{ID: p.ID.String(), Version: p.Version, Signed: p.Signed, Missing: list(p.Missing), Awaited: list(p.Awaited), Vetoed: []string{}, Due: map[string]string{}, Changes: []changeDocument{}}
		for _, v := range p.Vetoes {
			one.Vetoed = append(one.Vetoed, v.Operator)
		}
		for node, t := range p.Due {
			if !t.IsZero() {
				one.Due[node] = statement.FormatTime(t)
			}
		}
		if p.Version > 0 {
			all, err := review.Diff(x.Document, p.Document)
			if err != nil {
				return d, err
			}
			for _, c := range all {
				one.Changes = append(one.Changes, changeDocument{c.What, c.Was, c.Is, c.Looser})
			}
		}
		d.Pending = append(d.Pending, one)
	}
	for _, line := range names(r.Revoked) {
		v := r.Revoked[line]
		d.Revoked = append(d.Revoked, revokedDocument{v.Person, v.Key.Fingerprint(), v.Reason})
	}
	for _, f := range r.Frozen {
		d.Frozen = append(d.Frozen, frozenDocument{f.Vault.String(), f.Operator, f.Expires, f.Reason, f.Nodes})
	}
	return d, nil
}

func (d charterDocument) print(w io.Writer, pending bool) {
	if d.Drill {
		fmt.Fprintln(w, "DRILL: this charter is for rehearsals; its delays may be seconds.")
	}
	if d.ID == "" {
		fmt.Fprintln(w, "No charter is in force yet.")
	} else if !pending {
		fmt.Fprint(w, d.Statement)
		fmt.Fprintf(w, "\nVersion %d, id %s: in force.\n", d.Version, d.ID)
	}
	for _, p := range d.Pending {
		fmt.Fprintf(w, "\nWAITING: version %d, id %s, signed by %s\n", p.Version, p.ID, strings.Join(p.Signed, ", "))
		for _, c := range p.Changes {
			fmt.Fprintf(w, "  %s\n", charter.Change{What: c.What, Was: c.Was, Is: c.Is, Looser: c.Looser})
		}
		switch {
		case len(p.Vetoed) > 0:
			fmt.Fprintf(w, "  VETOED by %s: it will not come into force\n", strings.Join(p.Vetoed, ", "))
		case len(p.Missing) > 0:
			fmt.Fprintf(w, "  still to sign: %s\n", strings.Join(p.Missing, ", "))
		}
		if len(p.Vetoed) > 0 {
			continue
		}
		for _, node := range names(p.Due) {
			fmt.Fprintf(w, "  node %s puts it in force after %s\n", node, p.Due[node])
		}
	}
	if pending && len(d.Pending) == 0 {
		fmt.Fprintln(w, "Nothing waits.")
	}
	for _, r := range d.Revoked {
		fmt.Fprintf(w, "REVOKED: key %s of %s  %s\n", r.Key, r.Person, r.Reason)
	}
	for _, f := range d.Frozen {
		fmt.Fprintf(w, "FROZEN: vault %.8s by %s until %s  %s\n", f.Vault, f.Operator, f.Expires, f.Reason)
	}
}

func (a *app) charterShowCommand() *cobra.Command {
	var pending, force bool
	var folder string
	c := &cobra.Command{
		Use: "show", Short: "Show the charter in force, and what waits to replace it", Args: none,
		Long: "With --write it writes the charter in force as " + charterFile + " and " + policyFile + " into a folder, to be amended there: the files\n" +
			"say what every operator signed, word for word, but for the comments of whoever wrote the first ones.",
	}
	c.Flags().BoolVar(&pending, "pending", false, "show only what waits, what was revoked and what is frozen")
	c.Flags().StringVar(&folder, "write", "", "write the charter in force into this folder, which is made if it is not there")
	c.Flags().BoolVar(&force, "force", false, "with --write: write over files that are there")
	local := localFlag(c)
	c.RunE = func(c *cobra.Command, _ []string) error {
		writes := c.Flag("write").Changed
		switch {
		case writes && folder == "":
			return usage("--write names no folder: give one, such as --write our")
		case writes && pending:
			return usage("--write writes what is in force, --pending shows what is not: give one of them")
		case force && !writes:
			return usage("--force goes with --write FOLDER")
		}
		ctx, cancel := a.within(c.Context(), 30*time.Second)
		defer cancel()
		r, failed, err := a.rules(ctx, *local)
		if err != nil {
			return err
		}
		a.down(failed)
		if writes {
			return a.writeInForce(r, folder, force)
		}
		d, err := charterOf(r, failed)
		if err != nil {
			return err
		}
		return a.show(d, func(w io.Writer) { d.print(w, pending) })
	}
	return c
}

func (a *app) personRevokeCommand() *cobra.Command {
	var key, reason string
	var yes, officer bool
	c := &cobra.Command{
		Use: "revoke [PERSON]", Short: "End a key of your own, or of a person of your operator, at once and for good", Args: oneAtMost,
		Long: "Without --officer it ends one of your own keys: --revoke names it by the beginning of its fingerprint, else it is the\n" +
			"one that signs. With --officer it ends a key of PERSON, whose organisation is this operator, as its officer.\n" +
			"No later version of the charter can list the key again. `ostraka charter amend` gives a person another one.",
		RunE: func(c *cobra.Command, args []string) error {
			ctx, cancel := a.within(c.Context(), 5*time.Minute)
			defer cancel()
			if officer {
				if len(args) == 0 {
					return usage("name the person whose key ends")
				}
				res, err := client.Operator(a.dir).PrepareRevocation(ctx, connect.NewRequest(&v1.PrepareRevocationRequest{Person: args[0], Key: key, Reason: reason}))
				if err != nil {
					return a.operatorError(err)
				}
				return a.oneStatement(ctx, res.Msg, statement.Revoke, yes, "Revoked: the key counts for nothing any more.")
			}
			if len(args) > 0 {
				return usage("your own key ends without a name; to end that of a person of your operator, add --officer")
			}
			return a.revokeOwn(ctx, key, reason, yes)
		},
	}
	c.Flags().StringVar(&key, "revoke", "", "which key: the beginning of its fingerprint")
	c.Flags().StringVar(&reason, "reason", "", "why, for the others")
	c.Flags().BoolVar(&officer, "officer", false, "as this operator's officer, at its own node (--dir)")
	c.Flags().BoolVar(&yes, "yes", false, "do not ask")
	return c
}

func (a *app) revokeOwn(ctx context.Context, key, reason string, yes bool) error {
	circle, err := a.circle(ctx)
	if err != nil {
		return err
	}
	defer circle.Close()
	r, _, err := circle.Rules(ctx)
	if err != nil {
		return err
	}
	if circle.Signer() == nil {
		return client.ErrNoKey
	}
	a.say("This ends a key of yours for good. What it approved and was not signed yet counts no more.")
	if err := a.confirm(yes, "Revoke it?"); err != nil {
		return err
	}
	v, taken, err := circle.Revoke(ctx, r, key, reason)
	if err != nil {
		return err
	}
	a.down(taken.Failures())
	doc := revokedDocument{v.Person, v.Key.Fingerprint(), v.Reason}
	return a.show(doc, func(w io.Writer) {
		fmt.Fprintf(w, "Revoked: key %s of %s counts for nothing any more.\n", doc.Key, doc.Person)
	})
}
