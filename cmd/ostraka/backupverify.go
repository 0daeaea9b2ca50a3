package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/ostraka/ostraka/client"
	"github.com/ostraka/ostraka/client/offsite"
	"github.com/ostraka/ostraka/crypto/group"
	"github.com/ostraka/ostraka/custody/backup"
	"github.com/ostraka/ostraka/custody/charter"
	"github.com/ostraka/ostraka/mpc/epoch"
	node "github.com/ostraka/ostraka/node/backup"
)

// epochs are what nodes show of the epochs in force.
type epochs struct {
	chain charter.Chain
	client.Backups
}

// state is how one key of a backup stands.
type state struct {
	known, void bool
	why         string
}

// states holds a backup to the epochs in force, a state for each of its keys.
func (x epochs) states(h backup.Header) (out []state) {
	for _, k := range h.Keys {
		i := slices.IndexFunc(x.Keys, func(b client.BackedKey) bool { return b.Record.KeyID == k.KeyID })
		if i < 0 {
			out = append(out, state{why: "no node of the context knows this key"})
			continue
		}
		s, r := state{known: true}, x.Keys[i].Record
		switch m, ok := memberOf(r, h.Identity); {
		case r.Epoch > k.Epoch:
			s.void, s.why = true, fmt.Sprintf("it is of epoch %d, and epoch %d is in force: every share of an older epoch is void", k.Epoch, r.Epoch)
		case r.Epoch < k.Epoch:
			s = state{why: fmt.Sprintf("it is of epoch %d, and the nodes show epoch %d: they were set back, or have not heard of it", k.Epoch, r.Epoch)}
		case r.Hash() != k.Record:
			s.void, s.why = true, fmt.Sprintf("it is of another epoch %d than the one in force", k.Epoch)
		case !ok || !m.Equal(k.Share):
			s.void, s.why = true, "its share has another point than the operator's in the epoch in force"
		}
		out = append(out, s)
	}
	return out
}

func (a *app) backupVerifyCommand() *cobra.Command {
	var offline, needs bool
	c := &cobra.Command{
		Use: "verify [FILE|DIR|s3://BUCKET/PREFIX]…", Short: "Check backups without opening them: whose, of which level, epoch and age, and whether they are whole", Args: cobra.ArbitraryArgs,
		Long: "Needs no secret and no key. Of an export it checks the signature of its node, the hash of all of it, and for how many it is encrypted; of sheets their receipt. The nodes of the\n" +
			"context say which epoch is in force: a backup of an older one is void. What is encrypted to the guardians is fetched from every node, and checked unopened: that r operators\n" +
			"and k guardians could bring each key back. With --offline no node is asked. Exit code 4: something is damaged, void, or of strangers.",
		Example: "  ostraka backup verify\n  ostraka backup verify /media/stick s3://backups/acme",
	}
	c.Flags().BoolVar(&offline, "offline", false, "ask no node: neither who is in the circle, nor which epoch is in force")
	c.Flags().BoolVar(&needs, "all-valid", false, "void ones count as failures even where a newer backup of the same place is among them")
	c.RunE = func(c *cobra.Command, args []string) error {
		ctx, cancel := a.within(c.Context(), exportTimeout)
		defer cancel()
		if offline && len(args) == 0 {
			return usage("--offline: name the files to look at")
		}
		return a.backupVerify(ctx, args, offline, needs)
	}
	return c
}

type verifiedDocument struct {
	Backups   []foundDocument    `json:"backups"`
	Guardians []guardianSetEntry `json:"guardians"`
}

type foundDocument struct {
	Where string          `json:"where"`
	State string          `json:"state"` // whole, void, superseded, refused
	Why   string          `json:"why,omitempty"`
	Found *backupDocument `json:"backup,omitempty"`
}

type guardianSetEntry struct {
	Vault       string   `json:"vault"`
	Suite       string   `json:"suite"`
	EpochNumber uint64   `json:"epoch_number"`
	State       string   `json:"state"` // whole, none, refused
	Why         string   `json:"why,omitempty"`
	Operators   int      `json:"operators,omitempty"` // r
	Quorum      int      `json:"quorum,omitempty"`    // k
	Guardians   int      `json:"guardians,omitempty"` // m
	Nodes       []string `json:"nodes"`
	Behind      []string `json:"behind"`
}

func (a *app) backupVerify(ctx context.Context, args []string, offline, strict bool) error {
	var all *epochs
	doc := verifiedDocument{Backups: []foundDocument{}, Guardians: []guardianSetEntry{}}
	if !offline {
		x, err := a.verifySets(ctx, &doc)
		if err != nil {
			return err
		}
		all = &x
	}
	where, err := listed(ctx, args)
	if err != nil {
		return err
	}
	newest := map[string]time.Time{}
	var headers []backup.Header
	for _, w := range where {
		d, h := a.lookAt(ctx, w, all)
		doc.Backups, headers = append(doc.Backups, d), append(headers, h)
		if at := h.Operator + "/" + string(h.Level) + "/" + h.Place; d.State == "whole" && h.Created.After(newest[at]) {
			newest[at] = h.Created
		}
	}
	bad := 0
	for i := range doc.Backups {
		d, h := &doc.Backups[i], headers[i]
		if d.State == "void" && !strict && newest[h.Operator+"/"+string(h.Level)+"/"+h.Place].After(h.Created) {
			d.State = "superseded"
		}
		if d.State == "void" || d.State == "refused" {
			bad++
		}
	}
	for _, g := range doc.Guardians {
		if g.State == "refused" {
			bad++
		}
	}
	if err := a.show(doc, func(w io.Writer) { doc.print(w, time.Now()) }); err != nil {
		return err
	}
	if bad > 0 {
		return unverified("cut it again with `ostraka backup cut`, while the node lives; a new epoch mends what guardians have", "%d of what was looked at would not help in an emergency", bad)
	}
	return nil
}

// listed finds the backups in what is named.
func listed(ctx context.Context, args []string) (out []string, err error) {
	for _, arg := range args {
		if offsiteFile(arg) {
			out = append(out, arg)
			continue
		}
		at, err := offsite.At(arg, 0)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", arg, err)
		}
		found, err := at.List(ctx)
		if err != nil {
			return nil, err
		}
		if len(found) == 0 {
			return nil, unverified("look where it should lie", "no backup lies in %s", arg)
		}
		out = append(out, found...)
	}
	return out, nil
}

// lookAt says how one backup stands.
func (a *app) lookAt(ctx context.Context, where string, all *epochs) (foundDocument, backup.Header) {
	refuse := func(h backup.Header, err error) (foundDocument, backup.Header) {
		return foundDocument{Where: where, State: "refused", Why: err.Error()}, h
	}
	if err := a.lookAs("", where, fileBackup); err != nil {
		return refuse(backup.Header{}, err)
	}
	r, err := openBackup(ctx, where)
	if err != nil {
		return refuse(backup.Header{}, err)
	}
	defer r.Close()
	signed, h, err := node.Look(r)
	if err != nil {
		return refuse(h, a.damagedFile("", where, fileBackup, err))
	}
	d := backupOf(where, signed, h)
	out := foundDocument{Where: where, State: "whole", Found: &d}
	if all == nil {
		return out, h
	}
	if err := all.holder(h); err != nil {
		return refuse(h, err)
	}
	for i, s := range all.states(h) {
		k := &d.Keys[i]
		switch k.Why = s.why; {
		case s.void:
			k.State, out.State, out.Why = "void", "void", fmt.Sprintf("vault %s: %s", k.Vault, s.why)
		case s.known:
			k.State = "in force"
		default:
			k.State = "not known"
		}
	}
	return out, h
}

// holder holds a header to the circle: whose it says it is.
func (x epochs) holder(h backup.Header) error {
	r := x.chain.Newest()
	if h.Circle != r.Circle {
		return fmt.Errorf("it is of circle %q, and the context's is %q", h.Circle, r.Circle)
	}
	o, ok := x.chain.Identity(h.Identity)
	if !ok || o.Name != h.Operator {
		return fmt.Errorf("its node is not that of operator %s in any roster of the circle: a stranger made it", h.Operator)
	}
	return nil
}

// verifySets fetches what guardians have from every node, and checks it.
func (a *app) verifySets(ctx context.Context, doc *verifiedDocument) (x epochs, err error) {
	_, c, err := a.chosen()
	if err != nil {
		return x, fail(explain(err).Code, err, "name the nodes with --context, or ask none with --offline")
	}
	circle := client.Dial(c, nil, client.Cache{})
	defer circle.Close()
	var failed []client.Failure
	if x.Backups, failed, err = circle.Backups(ctx, true); err != nil {
		return x, err
	}
	a.down(failed)
	if x.chain, _, err = circle.Chain(ctx); err != nil {
		return x, err
	}
	for _, k := range x.Keys {
		g := guardianSetEntry{Vault: k.Name, Suite: k.Record.Suite, EpochNumber: k.Record.Epoch, State: "whole", Nodes: list(k.Nodes), Behind: list(k.Behind)}
		switch {
		case k.Record.Backups == [32]byte{}:
			g.State = "none"
		case k.SetError != nil:
			g.State, g.Why = "refused", k.SetError.Error()
		}
		if k.Plan != nil {
			g.Operators, g.Quorum, g.Guardians = k.Plan.Operators, k.Plan.Quorum, len(k.Plan.Guardians)
		}
		doc.Guardians = append(doc.Guardians, g)
	}
	return x, nil
}

func (d verifiedDocument) print(w io.Writer, now time.Time) {
	for _, b := range d.Backups {
		fmt.Fprintf(w, "%s: %s\n", b.Where, b.State)
		if b.Why != "" {
			fmt.Fprintf(w, "  %s\n", b.Why)
		}
		if b.Found != nil {
			b.Found.print(w, now)
		}
	}
	for _, g := range d.Guardians {
		fmt.Fprintf(w, "guardians of vault %s, %s, epoch %d: ", g.Vault, g.Suite, g.EpochNumber)
		switch g.State {
		case "none":
			fmt.Fprintln(w, "the vault has none")
		case "whole":
			fmt.Fprintf(w, "whole: %d operators and %d of %d guardians could bring the key back (%d nodes show it)\n", g.Operators, g.Quorum, g.Guardians, len(g.Nodes))
		default:
			fmt.Fprintln(w, g.Why)
		}
		if len(g.Behind) > 0 {
			fmt.Fprintf(w, "  behind: %v\n", g.Behind)
		}
	}
}

func memberOf(r *epoch.Record, identity []byte) (group.Point, bool) {
	for _, m := range r.Members {
		if bytes.Equal(m.Identity, identity) {
			return m.Public, true
		}
	}
	return nil, false
}

// offsiteFile says whether a name is one backup's rather than of where several lie.
func offsiteFile(name string) bool {
	if strings.HasPrefix(name, "s3://") {
		return strings.HasSuffix(name, offsite.SuffixExport) || strings.HasSuffix(name, offsite.SuffixReceipt)
	}
	info, err := os.Stat(name)
	return err != nil || !info.IsDir() // one that is not there is named when it is opened
}

func openBackup(ctx context.Context, where string) (io.ReadCloser, error) {
	if !strings.HasPrefix(where, "s3://") {
		return os.Open(where)
	}
	at, err := offsite.At(where, 0)
	if err != nil {
		return nil, err
	}
	return at.Open(ctx, where)
}
