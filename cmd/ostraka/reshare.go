package main

import (
	"context"
	"fmt"
	"io"
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

func (a *app) vaultReshareCommand() *cobra.Command {
	var q v1.PrepareReshareRequest
	var threshold int
	var yes, noWait bool
	c := &cobra.Command{
		Use: "reshare VAULT --committee A,B,C --threshold T", Short: "Give a vault's keys to other operators, or change its threshold, as its operator's officer", Args: exactly("VAULT"),
		Long: "Shows a statement of who is to hold the vault's keys and signs it. Every operator does so on its own node: all of the new\n" +
			"committee, and of the present one as many as are needed to sign (all of them, if the threshold falls). Then the nodes\n" +
			"move the keys. The public keys and all addresses stay; signing goes on until the new committee holds the keys.\n" +
			"A newcomer's officer compares the public keys with the others by telephone: what they sign, their node believes.\n" +
			"Whose operator is lost simply does not sign; those whose officers signed and whose nodes are up move the keys.\n" +
			"Where several statements say the same, the others are listed with who signed them; --id ID signs a certain one.",
		RunE: func(cmd *cobra.Command, args []string) error {
			switch asked := len(q.Committee) > 0 || threshold != 0 || q.Reason != "" || q.Instead; {
			case q.Id != "" && asked:
				return usage("with --id, leave out --committee, --threshold, --reason and --instead: the statement says them")
			case q.Id != "":
			case len(q.Committee) < 2 || threshold < 2 || threshold > len(q.Committee):
				return usage("give two operators or more with --committee, and with --threshold how many of them sign: 2 or more, and no more than they are")
			}
			q.Threshold = uint32(threshold)
			ctx, cancel := a.within(cmd.Context(), refreshTimeout)
			defer cancel()
			return a.reshare(ctx, args[0], &q, yes, noWait)
		},
	}
	c.Flags().StringSliceVar(&q.Committee, "committee", nil, "the operators that are to hold the keys")
	c.Flags().IntVar(&threshold, "threshold", 0, "how many of them are to be needed to sign")
	c.Flags().StringVar(&q.Reason, "reason", "", "why, in words that all sign")
	c.Flags().BoolVar(&q.Instead, "instead", false, "make a new statement in place of one that waits for signatures and says something else")
	c.Flags().StringVar(&q.Id, "id", "", "sign the statement whose id begins so, 8 digits or more")
	c.Flags().BoolVar(&yes, "yes", false, "sign without asking")
	c.Flags().BoolVar(&noWait, "no-wait", false, "only sign")
	return c
}

type reshareDocument struct {
	acceptDocument
	Vault     string             `json:"vault"`
	Number    uint64             `json:"number"`
	Threshold int                `json:"threshold"`
	Members   []string           `json:"members"`
	Keys      []refreshedRootDoc `json:"keys"` // once they have moved
	Unchanged bool               `json:"unchanged"`
}

// reshared says whether a vault's keys are held as asked, and no reshare of it is on its way: then there is nothing to sign.
func (a *app) reshared(ctx context.Context, own *v1.Vault, q *v1.PrepareReshareRequest) bool {
	as := charter.Reshare{Threshold: int(q.Threshold), Committee: slices.Sorted(slices.Values(q.Committee))}
	if len(own.Roots) == 0 || slices.ContainsFunc(own.Roots, func(r *v1.Root) bool { return !heldUnder(r, as) }) {
		return false
	}
	reader, err := client.OpenOwn(ctx, a.dir)
	if err != nil {
		return false // the node says what it makes of it
	}
	all, _, err := reader.Vaults(ctx)
	i := slices.IndexFunc(all, func(v client.Vault) bool { return slices.Equal(v.ID[:], own.Id) })
	return err == nil && i >= 0 && len(all[i].Planned()) == 0
}

// unchanged answers who asks for what is so already: asking twice is no error.
func (a *app) unchanged(own *v1.Vault, q *v1.PrepareReshareRequest) error {
	d := reshareDocument{
		acceptDocument: acceptDocument{Missing: []string{}}, Vault: own.Name, Threshold: int(q.Threshold), Members: slices.Sorted(slices.Values(q.Committee)),
		Keys: []refreshedRootDoc{}, Unchanged: true,
	}
	for _, r := range own.Roots {
		d.Keys = append(d.Keys, movedRoot(r))
	}
	return a.show(d, func(w io.Writer) {
		fmt.Fprintf(w, "Vault %s is held by %d of %s already, and no other reshare of it is on its way: nothing to do.\n", d.Vault, d.Threshold, strings.Join(d.Members, ", "))
	})
}

func movedRoot(r *v1.Root) refreshedRootDoc {
	return refreshedRootDoc{r.Suite, fmt.Sprintf("%x", r.PublicKey), r.EpochNumber, fmt.Sprintf("%x", r.Epoch), r.Moved}
}

func (a *app) reshare(ctx context.Context, name string, q *v1.PrepareReshareRequest, yes, noWait bool) error {
	own, err := a.ownVault(ctx, name)
	if err != nil {
		return err
	}
	if !q.Instead && a.reshared(ctx, own, q) {
		return a.unchanged(own, q)
	}
	q.Vault = own.Id
	res, err := client.Operator(a.dir).PrepareReshare(ctx, connect.NewRequest(q))
	if err != nil {
		return a.operatorError(err)
	}
	var r charter.Reshare
	doc, err := a.accept(ctx, res.Msg, statement.Reshare, yes, func(w io.Writer, s statement.Statement) (err error) {
		if r, err = charter.ReshareOf(s); err == nil {
			describeReshare(w, own, r, s)
			describeRivals(w, res.Msg.Rivals)
		}
		return err
	})
	if err != nil {
		return err
	}
	d := reshareDocument{acceptDocument: doc, Vault: own.Name, Number: r.Number, Threshold: r.Threshold, Members: r.Committee, Keys: []refreshedRootDoc{}}
	if !noWait {
		if d.Keys, err = a.awaitReshare(ctx, own, r); err != nil {
			return err
		}
	}
	return a.show(d, func(w io.Writer) {
		switch {
		case !noWait:
			for _, k := range d.Keys {
				fmt.Fprintf(w, "Vault %s, suite %s: %d of %s hold it in epoch %d; the public key is the same.\n", d.Vault, k.Suite, d.Threshold, strings.Join(d.Members, ", "), k.EpochNumber)
			}
		case len(d.Missing) > 0:
			fmt.Fprintf(w, "Reshare %d of vault %s signed. Still to sign, or enough of them: %s\n\nNext: they run `ostraka vault reshare %s --committee %s --threshold %d`.\n",
				d.Number, d.Vault, strings.Join(d.Missing, ", "), d.Vault, strings.Join(d.Members, ","), d.Threshold)
		default:
			fmt.Fprintf(w, "Reshare %d of vault %s is signed by all who must: the nodes move its keys.\n\nNext: `ostraka vault show --local %s`.\n", d.Number, d.Vault, d.Vault)
		}
	})
}

func describeReshare(w io.Writer, own *v1.Vault, r charter.Reshare, s statement.Statement) {
	fmt.Fprintf(w, "Reshare statement %s of vault %s: its keys go from %d of %d operators to %d of %s.\n",
		s.ID(), own.Name, own.Threshold, own.Parties, r.Threshold, strings.Join(r.Committee, ", "))
	for _, k := range r.Keys {
		fmt.Fprintf(w, "  The key of suite %s stays %x.\n", k.Suite, k.PublicKey)
	}
	for _, line := range strings.Split(strings.TrimSpace(s.Text()), "\n") {
		fmt.Fprintf(w, "  %s\n", line)
	}
	if len(own.Roots) == 0 || len(own.Roots[0].FinalCertificate) == 0 {
		fmt.Fprintln(w, "This node does not know the vault's keys yet. Compare the public keys above with the other officers by telephone: what you sign, it believes.")
	}
}

// describeRivals lists what else could be signed that gives the vault to the same operators.
func describeRivals(w io.Writer, rivals []*v1.Rival) {
	for _, x := range rivals {
		other := "says the same"
		if x.Differs != "" {
			other = "has another " + x.Differs
		}
		fmt.Fprintf(w, "Another one waits for the same operators and %s: %x, number %d, signed by %s. Ask them which one holds; --id %.8x signs that one.\n",
			other, x.Id, x.Number, strings.Join(x.Accepted, ", "), x.Id)
	}
}

// awaitReshare follows a vault's keys until the new committee holds them, as this node sees it.
func (a *app) awaitReshare(ctx context.Context, own *v1.Vault, r charter.Reshare) ([]refreshedRootDoc, error) {
	defer a.progressEnds()
	for {
		now, err := a.ownVault(ctx, fmt.Sprintf("%x", own.Id))
		if err == nil {
			own = now
			var left []string
			keys := []refreshedRootDoc{}
			for _, root := range own.Roots {
				if !heldUnder(root, r) {
					left = append(left, waitsFor(root))
				}
				keys = append(keys, movedRoot(root))
			}
			if len(left) == 0 && len(keys) > 0 {
				return keys, nil
			}
			a.progress("vault %s: %s", own.Name, strings.Join(left, "; "))
		}
		select {
		case <-ctx.Done():
			return nil, notReady(fmt.Sprintf("your signature holds: the others run `ostraka vault reshare` too, and the nodes go on by themselves; `ostraka vault show --local %s` shows how far it is", own.Name),
				"the keys of vault %s have not moved yet", own.Name)
		case <-time.After(200 * time.Millisecond):
		}
	}
}

// heldUnder says whether a key is held as a reshare says, or a later one already.
func heldUnder(root *v1.Root, r charter.Reshare) bool {
	var names []string
	for _, h := range root.Holders {
		names = append(names, h.Operator)
	}
	slices.Sort(names)
	return (root.State == client.Ready || root.State == client.Left) && root.Threshold == uint32(r.Threshold) && slices.Equal(names, r.Committee)
}
