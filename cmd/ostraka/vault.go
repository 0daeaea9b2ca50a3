package main

import (
	"context"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"time"

	"connectrpc.com/connect"
	"github.com/spf13/cobra"

	v1 "github.com/ostraka/ostraka/api/ostraka/v1"
	"github.com/ostraka/ostraka/client"
	"github.com/ostraka/ostraka/custody/charter"
	"github.com/ostraka/ostraka/custody/statement"
)

func (a *app) vaultCommand() *cobra.Command {
	c := &cobra.Command{Use: "vault", Short: "Vaults: keys with one committee and one threshold"}
	c.AddCommand(a.vaultCreateCommand(), a.vaultRefreshCommand(), a.vaultReshareCommand(), a.vaultListCommand(), a.vaultShowCommand())
	return c
}

// reader asks every node of the context, or only the operator's own.
func (a *app) reader(ctx context.Context, local bool) (client.Reader, func(), error) {
	if local {
		own, err := client.OpenOwn(ctx, a.dir)
		if err != nil {
			return nil, nil, a.operatorError(err)
		}
		return own, func() {}, nil
	}
	c, err := a.circle(ctx)
	if err != nil {
		return nil, nil, err
	}
	return c, c.Close, nil
}

func localFlag(c *cobra.Command) *bool {
	return c.Flags().Bool("local", false, "ask only the operator's own node (--dir), over its socket")
}

type vaultDocument struct {
	ID         string           `json:"id"`
	Name       string           `json:"name"`
	Tier       string           `json:"tier"`
	Suites     []string         `json:"suites"`
	Threshold  int              `json:"threshold"`
	Parties    int              `json:"parties"`
	Quorum     int              `json:"quorum"`
	Chains     []string         `json:"chains"`
	Initiators []string         `json:"initiators"`
	Approvers  []string         `json:"approvers"`
	State      string           `json:"state"`
	Frozen     []string         `json:"frozen"` // by whom and until when; while it is, it signs nothing
	Waiting    []string         `json:"waiting"`
	LastError  string           `json:"last_error,omitempty"`
	Members    []memberDocument `json:"members"`
	Roots      []rootDocument   `json:"roots"`
	PublicKey  string           `json:"public_key"` // of the only root; empty where there are several
	Nodes      []string         `json:"nodes"`
	Reshares   []plannedReshare `json:"reshares"` // of the newest number, if it is not in force
	Needs      []client.Need    `json:"needs"`    // what it lacks for the loss of machines and operators; of the list, what its charter lacks
	Statement  string           `json:"statement"`
}

// plannedReshare is another committee or threshold on its way.
type plannedReshare struct {
	ID        string   `json:"id"`
	Number    uint64   `json:"number"`
	Threshold int      `json:"threshold"`
	Members   []string `json:"members"`
	Signed    []string `json:"signed"`
	Reason    string   `json:"reason,omitempty"`
}

type memberDocument struct {
	Operator string `json:"operator"`
	Accepted bool   `json:"accepted"`
}

// rootDocument is a vault's key of one suite.
type rootDocument struct {
	Suite       string           `json:"suite"`
	State       string           `json:"state"`
	Waiting     []string         `json:"waiting"`
	LastError   string           `json:"last_error,omitempty"`
	Change      string           `json:"change,omitempty"` // what new shares on their way wait for
	Threshold   int              `json:"threshold"`
	PublicKey   string           `json:"public_key"`
	XPub        string           `json:"xpub,omitempty"`
	Key         string           `json:"key"`
	Epoch       string           `json:"epoch"`
	EpochNumber uint64           `json:"epoch_number"`
	Holders     []holderDocument `json:"holders"`
	LeftEpoch   uint64           `json:"left_epoch,omitempty"` // the first epoch without the node that shows it
	LeftAt      string           `json:"left_at,omitempty"`
}

type holderDocument struct {
	Operator string `json:"operator"`
	Proved   string `json:"proved,omitempty"`
	Bare     bool   `json:"no_share,omitempty"` // its node says that its store is a copy from before the epoch in force
}

func vaultOf(v client.Vault) (vaultDocument, error) {
	d := vaultDocument{
		ID: v.ID.String(), Name: v.Name, Tier: v.Tier, Suites: v.Suites, Threshold: v.Threshold, Parties: len(v.Committee), Quorum: v.Quorum,
		Chains: v.Chains, Initiators: people(v.Initiators), Approvers: people(v.Approvers), State: v.State, Frozen: frozenOf(v), Waiting: list(v.Waiting),
		LastError: v.LastError, Nodes: v.Nodes, Statement: v.Statement.Text(), Roots: []rootDocument{}, Reshares: plannedOf(v), Needs: charterNeeds(v),
	}
	for _, name := range v.Committee {
		d.Members = append(d.Members, memberDocument{name, v.Accepted[name]})
	}
	for _, r := range v.Roots {
		one, err := rootOf(v, r)
		if err != nil {
			return vaultDocument{}, err
		}
		d.Roots = append(d.Roots, one)
	}
	if len(d.Roots) == 1 {
		d.PublicKey = d.Roots[0].PublicKey
	}
	return d, nil
}

// frozenOf says by whom a vault is frozen.
func frozenOf(v client.Vault) []string {
	out := []string{}
	for _, x := range v.FrozenBy() {
		out = append(out, fmt.Sprintf("by %s until %s, as %s say", x.Operator, x.Expires, strings.Join(x.Nodes, ", ")))
	}
	return out
}

// plannedOf lists the reshares of a vault that may still be carried out.
func plannedOf(v client.Vault) []plannedReshare {
	out := []plannedReshare{}
	for _, a := range v.Planned() {
		if r, err := charter.ReshareOf(a.Statement); err == nil {
			out = append(out, plannedReshare{r.ID.String(), r.Number, r.Threshold, r.Committee, slices.Sorted(maps.Keys(a.Signatures)), r.Reason})
		}
	}
	return out
}

func rootOf(v client.Vault, r client.Root) (rootDocument, error) {
	xpub, err := r.XPub()
	if err != nil {
		return rootDocument{}, err
	}
	d := rootDocument{Suite: r.Suite, State: r.State, Waiting: list(r.Waiting), LastError: r.LastError, PublicKey: fmt.Sprintf("%x", r.PublicKey()), XPub: xpub, Change: r.Moving, Threshold: r.Held.Threshold, LeftEpoch: r.LeftEpoch, LeftAt: r.LeftAt}
	if r.Record != nil {
		eh := r.Record.Hash()
		d.Key, d.Epoch, d.EpochNumber = fmt.Sprintf("%x", r.Record.KeyID), fmt.Sprintf("%x", eh[:]), r.Record.Epoch
	}
	for _, name := range r.Held.Committee {
		h := holderDocument{Operator: name, Bare: slices.Contains(r.Bare, name)}
		if t, ok := r.Proved[name]; ok {
			h.Proved = statement.FormatTime(t)
		}
		d.Holders = append(d.Holders, h)
	}
	return d, nil
}

func people(list []charter.Person) (out []string) {
	for _, p := range list {
		out = append(out, p.Name)
	}
	return out
}

func (d vaultDocument) print(w io.Writer) {
	fmt.Fprintf(w, "Vault %s (%s, %d-of-%d, %s)\n", d.Name, d.Tier, d.Threshold, d.Parties, strings.Join(d.Suites, ", "))
	fmt.Fprintf(w, "  state       %s\n  id          %s\n", d.State, d.ID)
	for _, f := range d.Frozen {
		fmt.Fprintf(w, "  FROZEN      %s: it signs nothing\n", f)
	}
	fmt.Fprintf(w, "  chains      %s\n  initiators  %s\n  approvers   %s (%d needed)\n",
		strings.Join(d.Chains, ", "), strings.Join(d.Initiators, ", "), strings.Join(d.Approvers, ", "), d.Quorum)
	if len(d.Roots) == 0 {
		printWaiting(w, d.Waiting, d.LastError)
	}
	for _, m := range d.Members {
		if !m.Accepted {
			fmt.Fprintf(w, "  operator    %-12s has not accepted\n", m.Operator)
		}
	}
	for _, r := range d.Reshares {
		fmt.Fprintf(w, "  reshare     number %d, to %d of %s; signed by %s\n", r.Number, r.Threshold, strings.Join(r.Members, ", "), strings.Join(r.Signed, ", "))
	}
	for _, r := range d.Roots {
		fmt.Fprintf(w, "\nKey of suite %s: %s\n", r.Suite, r.State)
		if r.Change != "" {
			fmt.Fprintf(w, "  on its way  %s\n", r.Change)
		}
		printWaiting(w, r.Waiting, r.LastError)
		if r.PublicKey != "" {
			fmt.Fprintf(w, "  public key  %s\n  epoch       %d (%.12s)\n", r.PublicKey, r.EpochNumber, r.Epoch)
		}
		if r.Key != "" {
			fmt.Fprintf(w, "  key         %.12s (so `ostraka sos status` and drills name it, and `--of`)\n", r.Key)
		}
		if r.LeftEpoch > 0 {
			since := ""
			if r.LeftAt != "" {
				since = ", at " + r.LeftAt
			}
			fmt.Fprintf(w, "  left        this node's operator holds no share since epoch %d%s; those below hold them now\n", r.LeftEpoch, since)
		}
		if r.XPub != "" {
			fmt.Fprintf(w, "  xpub        %s\n", r.XPub)
		}
		for _, h := range r.Holders {
			state := "share not proved yet"
			switch {
			case h.Bare:
				state = "no share: its node was restored from a copy that is older than this epoch"
			case h.Proved != "":
				state = "share proved " + h.Proved
			}
			fmt.Fprintf(w, "  operator    %-12s %s\n", h.Operator, state)
		}
	}
	printLacks(w, d.Needs)
}

func printWaiting(w io.Writer, waiting []string, lastError string) {
	if len(waiting) > 0 {
		fmt.Fprintf(w, "  waits for   %s\n", strings.Join(waiting, ", "))
	}
	if lastError != "" {
		fmt.Fprintf(w, "  last error  %s\n", lastError)
	}
}

type vaultsDocument struct {
	Vaults []vaultDocument   `json:"vaults"`
	Failed []failureDocument `json:"failed"`
}

// failureDocument is a node that did not answer or refused.
type failureDocument struct {
	Node   string `json:"node"`
	Reason string `json:"reason"`
}

func failuresOf(fs []client.Failure) []failureDocument {
	out := []failureDocument{}
	for _, f := range fs {
		out = append(out, failureDocument{f.Node, f.Reason()})
	}
	return out
}

func (a *app) vaultListCommand() *cobra.Command {
	c := &cobra.Command{Use: "list", Short: "List your vaults", Args: none}
	local := localFlag(c)
	c.RunE = func(c *cobra.Command, _ []string) error {
		ctx, cancel := a.within(c.Context(), 30*time.Second)
		defer cancel()
		r, end, err := a.reader(ctx, *local)
		if err != nil {
			return err
		}
		defer end()
		all, failed, err := r.Vaults(ctx)
		if err != nil {
			return err
		}
		a.down(failed)
		d := vaultsDocument{[]vaultDocument{}, failuresOf(failed)}
		for _, v := range all {
			one, err := vaultOf(v)
			if err != nil {
				return err
			}
			d.Vaults = append(d.Vaults, one)
		}
		return a.show(d, func(w io.Writer) {
			if len(d.Vaults) == 0 {
				fmt.Fprintln(w, "You see no vault here.")
			}
			for _, v := range d.Vaults {
				mark := ""
				if len(v.Frozen) > 0 {
					mark = "  FROZEN " + strings.Join(v.Frozen, ", ")
				}
				if len(v.Needs) > 0 {
					mark += fmt.Sprintf("  LACKS what it needs in an emergency: `ostraka vault show %s`", v.Name)
				}
				fmt.Fprintf(w, "%-16s %d-of-%d  %-5s %-14s %.8s  %s%s\n", v.Name, v.Threshold, v.Parties, v.Tier, v.State, v.ID, strings.Join(v.Suites, ", "), mark)
			}
		})
	}
	return c
}

func (a *app) vaultShowCommand() *cobra.Command {
	c := &cobra.Command{Use: "show VAULT", Short: "Show a vault, by name or id, and what it lacks for the loss of machines and operators", Args: exactly("VAULT")}
	local := localFlag(c)
	c.RunE = func(c *cobra.Command, args []string) error {
		ctx, cancel := a.within(c.Context(), 30*time.Second)
		defer cancel()
		r, end, err := a.reader(ctx, *local)
		if err != nil {
			return err
		}
		defer end()
		all, failed, err := r.Vaults(ctx)
		if err != nil {
			return err
		}
		a.down(failed)
		v, err := client.FindVault(all, args[0])
		if err != nil {
			return err
		}
		d, err := vaultOf(v)
		if err != nil {
			return err
		}
		if d.Needs, err = needsOf(ctx, r, v); err != nil {
			a.say("note: what backups and drills it lacks could not be read, only what its charter lacks is shown: %v", err)
		}
		return a.show(d, d.print)
	}
	return c
}

func (a *app) vaultCreateCommand() *cobra.Command {
	var folder string
	var yes, wait bool
	c := &cobra.Command{
		Use: "create VAULT", Short: "Sign a vault of the charter as this operator's officer; every operator of its committee does so on its own node", Args: exactly("VAULT"),
		Long: "Shows the statement of the vault that the charter in force lists by this name, and signs it. When an officer of every\n" +
			"operator of the committee has signed, the nodes make the key. With -f it first reads your own copy of the charter,\n" +
			"and refuses if that breaks a control rule, or says something else than the charter in force.",
		RunE: func(c *cobra.Command, args []string) error {
			ctx, cancel := a.within(c.Context(), 10*time.Minute)
			defer cancel()
			if folder != "" {
				if err := a.sameCharter(ctx, folder); err != nil {
					return err
				}
			}
			return a.createVault(ctx, args[0], yes, wait)
		},
	}
	c.Flags().StringVarP(&folder, "file", "f", "", "folder with your own copy of the charter")
	c.Flags().BoolVar(&yes, "yes", false, "sign without asking")
	c.Flags().BoolVar(&wait, "wait", false, "wait until the vault is ready")
	return c
}

func (a *app) createVault(ctx context.Context, name string, yes, wait bool) error {
	res, err := client.Operator(a.dir).PrepareVault(ctx, connect.NewRequest(&v1.PrepareVaultRequest{Name: name}))
	if err != nil {
		return a.operatorError(err)
	}
	doc, err := a.accept(ctx, res.Msg, statement.Vault, yes, func(w io.Writer, s statement.Statement) error {
		fmt.Fprintf(w, "Vault statement, id %s\n", s.ID())
		for _, line := range strings.Split(strings.TrimSpace(s.Text()), "\n") {
			fmt.Fprintf(w, "  %s\n", line)
		}
		return nil
	})
	if err != nil {
		return err
	}
	if wait {
		if err := a.awaitVault(ctx, doc.ID); err != nil {
			return err
		}
	}
	return a.show(doc, func(w io.Writer) {
		switch {
		case wait:
			fmt.Fprintf(w, "Vault %.8s is ready.\n\nNext: `ostraka vault show %s --local` says what it lacks, should machines or operators be lost: mend that before it holds anything of value.\nThen an initiator runs `ostraka account create --vault %s DEPARTMENT/ACCOUNT`.\n", doc.ID, name, name)
		case len(doc.Missing) == 0:
			fmt.Fprintf(w, "Vault %.8s is accepted by every operator of its committee: the nodes make its key.\n\nNext: `ostraka vault show %s --local` shows when it is ready, and what it lacks, should machines or operators be lost.\n", doc.ID, name)
		default:
			fmt.Fprintf(w, "Vault %.8s signed. Still to sign: %s\n\nNext: they run `ostraka vault create %s`.\n", doc.ID, strings.Join(doc.Missing, ", "), name)
		}
	})
}

// awaitVault follows the making of a key at the operator's own node.
func (a *app) awaitVault(ctx context.Context, id string) error {
	defer a.progressEnds()
	for last := ""; ; {
		res, err := client.Operator(a.dir).Vaults(ctx, connect.NewRequest(&v1.VaultsRequest{}))
		if err == nil {
			for _, v := range res.Msg.Vaults {
				if fmt.Sprintf("%x", v.Id) != id {
					continue
				}
				if v.State == client.Ready {
					return nil
				}
				last = v.State
				if len(v.Waiting) > 0 {
					last += ", waits for " + strings.Join(v.Waiting, ", ")
				}
				a.progress("vault %s: %s", v.Name, last)
			}
		}
		select {
		case <-ctx.Done():
			return notReady("the nodes go on by themselves: `ostraka vault list --local` shows how far they are", "vault %.8s is not ready yet: %s", id, last)
		case <-time.After(200 * time.Millisecond):
		}
	}
}
