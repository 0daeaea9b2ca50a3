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
	"github.com/ostraka/ostraka/custody/signet"
	"github.com/ostraka/ostraka/custody/statement"
	"github.com/ostraka/ostraka/node/circle"
)

func (a *app) operatorCommand() *cobra.Command {
	c := &cobra.Command{Use: "operator", Short: "Form a circle and change it: invite, join, drop, accept the roster, replace, remove, resign"}
	c.AddCommand(a.inviteCommand(), a.joinCommand(), a.dropCommand(), a.acceptCommand(), a.replaceCommand(), a.removeCommand(), a.resignCommand())
	return c
}

func (a *app) inviteCommand() *cobra.Command {
	var hours uint32
	c := &cobra.Command{
		Use: "invite OPERATOR", Short: "Make a one-use invitation for another operator: one line", Args: exactly("OPERATOR"),
		Long: "OPERATOR is the name that the guest's node has (`ostraka node init --operator`). A node of another name cannot join with it.",
		RunE: func(c *cobra.Command, args []string) error {
			ctx, cancel := a.within(c.Context(), 15*time.Second)
			defer cancel()
			res, err := client.Operator(a.dir).Invite(ctx, connect.NewRequest(&v1.InviteRequest{Operator: args[0], Hours: hours}))
			if err != nil {
				return a.operatorError(err)
			}
			doc := struct {
				Line    string `json:"line"`
				Expires string `json:"expires"`
			}{res.Msg.Line, res.Msg.Expires}
			return a.show(doc, func(w io.Writer) {
				fmt.Fprintln(w, doc.Line)
				a.say("It is good once, for operator %s, until %s. Send it by a way that you trust; there they run `ostraka operator join LINE`.", args[0], doc.Expires)
			})
		},
	}
	c.Flags().Uint32Var(&hours, "hours", 24, "how long it is good")
	return c
}

func (a *app) joinCommand() *cobra.Command {
	return &cobra.Command{
		Use: "join LINE", Short: "Take an invitation", Args: exactly("LINE"),
		RunE: func(c *cobra.Command, args []string) error {
			if _, err := circle.ParseInvitation(args[0]); err != nil {
				return fail(codeUsage, err, "give the whole line that `ostraka operator invite` printed, in quotes")
			}
			ctx, cancel := a.within(c.Context(), 30*time.Second)
			defer cancel()
			res, err := client.Operator(a.dir).Join(ctx, connect.NewRequest(&v1.JoinRequest{Line: args[0]}))
			if err != nil {
				return a.operatorError(err)
			}
			doc := struct {
				Operator string `json:"operator"`
				Identity string `json:"identity"`
			}{res.Msg.Operator, client.FormatIdentity(res.Msg.Identity)}
			return a.show(doc, func(w io.Writer) {
				fmt.Fprintf(w, "Joined at %s (%s).\n\nNext: once the operator that invited you has signed the roster, run `ostraka operator accept`.\n", doc.Operator, doc.Identity)
			})
		},
	}
}

// dropDocument tells who was let go.
type dropDocument struct {
	Operator    string   `json:"operator"`
	Identity    string   `json:"identity"` // empty if nobody had joined
	Invitations int      `json:"invitations"`
	Signed      []string `json:"signed"`
}

func (a *app) dropCommand() *cobra.Command {
	var yes bool
	c := &cobra.Command{
		Use: "drop OPERATOR", Short: "Let go of an operator that joined here and is not in the roster", Args: exactly("OPERATOR"),
		Long: "For a guest that never signs, or whose node took a name that is another's. Unused invitations for that name are\n" +
			"withdrawn. It can be invited again. An operator of the roster goes by `ostraka operator replace`, `remove` or `resign`.",
		RunE: func(c *cobra.Command, args []string) error {
			a.say("This node lets go of operator %s, who is not in the roster. What that does not undo:\n"+
				"  what its node was told of the circle: rosters, with addresses and officers' keys;\n"+
				"  your officer's signature over a roster that lists it: that one may still come into force if all others sign it.", args[0])
			if err := a.confirm(yes, fmt.Sprintf("Drop operator %s?", args[0])); err != nil {
				return err
			}
			ctx, cancel := a.within(c.Context(), 15*time.Second)
			defer cancel()
			res, err := client.Operator(a.dir).Drop(ctx, connect.NewRequest(&v1.DropRequest{Operator: args[0]}))
			if err != nil {
				return a.operatorError(err)
			}
			doc := dropDocument{Operator: args[0], Invitations: int(res.Msg.Invitations), Signed: []string{}}
			if len(res.Msg.Identity) > 0 {
				doc.Identity = client.FormatIdentity(res.Msg.Identity)
			}
			for _, id := range res.Msg.Signed {
				doc.Signed = append(doc.Signed, fmt.Sprintf("%x", id))
			}
			return a.show(doc, func(w io.Writer) { describeDrop(w, doc) })
		},
	}
	c.Flags().BoolVar(&yes, "yes", false, "do not ask")
	return c
}

func describeDrop(w io.Writer, d dropDocument) {
	if d.Identity == "" {
		fmt.Fprintf(w, "Nobody had joined as operator %s; %d invitations for it withdrawn.\n", d.Operator, d.Invitations)
		return
	}
	fmt.Fprintf(w, "Dropped operator %s (%s); %d unused invitations withdrawn.\n", d.Operator, d.Identity, d.Invitations)
	for _, id := range d.Signed {
		fmt.Fprintf(w, "Your officer has signed roster %.8s, which lists it. It stands until another roster is in force: let another operator run `ostraka operator accept --new`, then sign that one.\n", id)
	}
}

// acceptDocument tells of a statement that an officer signed.
type acceptDocument struct {
	ID        string   `json:"id"`
	Statement string   `json:"statement"`
	Fresh     bool     `json:"fresh"`
	Missing   []string `json:"missing"`
}

// accept shows a statement, lets the officer sign it and hands it to the node.
func (a *app) accept(ctx context.Context, p *v1.PrepareResponse, kind statement.Kind, yes bool, describe func(io.Writer, statement.Statement) error) (acceptDocument, error) {
	s, err := statement.ParseKind(p.Statement, kind)
	if err != nil {
		return acceptDocument{}, fmt.Errorf("what the node asks to sign: %w", err)
	}
	if err := describe(a.err, s); err != nil {
		return acceptDocument{}, err
	}
	if len(p.Accepted) > 0 {
		a.say("Signed before by: %s", strings.Join(p.Accepted, ", "))
	}
	signer, err := a.signer(ctx)
	if err != nil {
		return acceptDocument{}, err
	}
	if err := a.confirm(yes, fmt.Sprintf("Sign this %s as officer with key %s?", kind, signer.Key().Fingerprint())); err != nil {
		return acceptDocument{}, err
	}
	sig, err := signer.Sign(ctx, signet.Makes(kind), s.Bytes())
	if err != nil {
		return acceptDocument{}, err
	}
	res, err := client.Operator(a.dir).Accept(ctx, connect.NewRequest(&v1.AcceptRequest{Statement: s.Bytes(), Signature: sig}))
	if err != nil {
		return acceptDocument{}, a.operatorError(err)
	}
	return acceptDocument{s.ID().String(), s.Text(), p.Fresh, list(res.Msg.Missing)}, nil
}

// rosterCommand has the officer sign the roster that a request gives.
func (a *app) rosterCommand(c *cobra.Command, req *v1.PrepareRosterRequest, yes bool) error {
	ctx, cancel := a.within(c.Context(), 5*time.Minute)
	defer cancel()
	own := client.Operator(a.dir)
	before, err := own.Status(ctx, connect.NewRequest(&v1.StatusRequest{}))
	if err != nil {
		return a.operatorError(err)
	}
	res, err := own.PrepareRoster(ctx, connect.NewRequest(req))
	if err != nil {
		return a.operatorError(err)
	}
	old, err := a.roster(ctx, before.Msg)
	if err != nil {
		return err
	}
	doc, err := a.accept(ctx, res.Msg, statement.Roster, yes, func(w io.Writer, s statement.Statement) error {
		return describeRoster(w, s, old, res.Msg.Unmet)
	})
	if err != nil {
		return err
	}
	return a.show(doc, func(w io.Writer) {
		if len(doc.Missing) > 0 {
			fmt.Fprintf(w, "Roster %.8s signed. Still to sign: %s\n\nNext: they run `ostraka operator accept`; who comes signs before the others.\n", doc.ID, strings.Join(doc.Missing, ", "))
			return
		}
		fmt.Fprintf(w, "Roster %.8s is signed by all who must: it is in force.\n", doc.ID)
		if old == nil {
			fmt.Fprintf(w, "\nNext: write a charter (`ostraka charter init`), and sign it on every node (`ostraka charter sign FOLDER`).\n")
		}
	})
}

// roster reads the version in force at the operator's own node, which has shown its id; nil if there is none.
func (a *app) roster(ctx context.Context, s *v1.StatusResponse) (*charter.Roster, error) {
	if len(s.Roster) == 0 {
		return nil, nil
	}
	own, err := client.OpenOwn(ctx, a.dir)
	if err != nil {
		return nil, err
	}
	r := own.Chain().Newest()
	return &r, nil
}

func (a *app) acceptCommand() *cobra.Command {
	var circle string
	var yes, anew bool
	c := &cobra.Command{
		Use: "accept [ID]", Short: "Sign the roster as this operator's officer", Args: cobra.MaximumNArgs(1),
		Long: "Shows the roster: every operator with its identity and address, and what changes. Compare with the others by\n" +
			"telephone, then sign. When one officer of every operator has signed, it is in force.\n\n" +
			"Once there is a roster, it takes in who joined, and what node.json says anew of this operator: the next version.\n" +
			"Of several proposals it shows the one with the lowest id; ID chooses another.",
		RunE: func(c *cobra.Command, args []string) error {
			req := &v1.PrepareRosterRequest{Circle: circle, Anew: anew}
			if len(args) > 0 {
				req.Id = args[0]
			}
			return a.rosterCommand(c, req, yes)
		},
	}
	c.Flags().StringVar(&circle, "circle", "", "name of the circle, for the operator that signs first to found one")
	c.Flags().BoolVar(&anew, "new", false, "propose a roster, though another operator has proposed one")
	c.Flags().BoolVar(&yes, "yes", false, "sign without asking")
	return c
}

func (a *app) replaceCommand() *cobra.Command {
	var yes bool
	c := &cobra.Command{
		Use: "replace OPERATOR", Short: "Propose a roster in which the operator that joined stands in place of another", Args: exactly("OPERATOR"),
		Long: "Invite the newcomer and let it join at this node first. All other operators sign with `ostraka operator accept`, the\n" +
			"newcomer before the others. The one that leaves need not: its node may be lost. It agrees with `ostraka operator resign`.",
		RunE: func(c *cobra.Command, args []string) error {
			return a.rosterCommand(c, &v1.PrepareRosterRequest{Replace: args[0]}, yes)
		},
	}
	c.Flags().BoolVar(&yes, "yes", false, "sign without asking")
	return c
}

func (a *app) removeCommand() *cobra.Command {
	var yes bool
	c := &cobra.Command{
		Use: "remove OPERATOR", Short: "Propose a roster without an operator that is lost, and with nobody in its place", Args: exactly("OPERATOR"),
		Long: "All other operators sign with `ostraka operator accept`. The one that is lost need not. It is refused while it holds a share\n" +
			"of a vault: its keys go to others first, by `ostraka vault reshare`, or by SOS where too few operators are left.",
		RunE: func(c *cobra.Command, args []string) error {
			return a.rosterCommand(c, &v1.PrepareRosterRequest{Remove: args[0]}, yes)
		},
	}
	c.Flags().BoolVar(&yes, "yes", false, "sign without asking")
	return c
}

func (a *app) resignCommand() *cobra.Command {
	var yes bool
	c := &cobra.Command{
		Use: "resign", Short: "Leave the circle: propose, or agree to, a roster without this operator", Args: none,
		Long: "All other operators then run `ostraka operator accept`. It is refused while this node holds a share of a vault.",
		RunE: func(c *cobra.Command, _ []string) error {
			return a.rosterCommand(c, &v1.PrepareRosterRequest{Resign: true}, yes)
		},
	}
	c.Flags().BoolVar(&yes, "yes", false, "sign without asking")
	return c
}

// describeRoster shows a roster, and how it differs from the one in force. unmet are operators that
// the node knows from the roster alone.
func describeRoster(w io.Writer, s statement.Statement, old *charter.Roster, unmet []string) error {
	r, err := charter.RosterOf(s)
	if err != nil {
		return err
	}
	fmt.Fprintf(w, "Roster of circle %q, version %d, made %s, id %s\n", r.Circle, r.Version, statement.FormatTime(r.Created), s.ID())
	for _, o := range r.Operators {
		change := ""
		if old != nil {
			switch was, ok := old.Operator(o.Name); {
			case !ok:
				change = "  COMES"
			case !charter.SameOperator(was, o):
				change = "  CHANGES"
			}
		}
		if slices.Contains(unmet, o.Name) {
			change += "  compare its identity by telephone"
		}
		fmt.Fprintf(w, "  %s (%s)%s\n    identity %s\n    address  %s\n", o.Name, o.Entity, change, client.FormatIdentity(o.Identity), o.Address)
		for _, k := range o.Officers {
			fmt.Fprintf(w, "    officer  %s\n", k.Fingerprint())
		}
	}
	if old == nil {
		return nil
	}
	for _, o := range old.Operators {
		if _, stays := r.Operator(o.Name); !stays {
			fmt.Fprintf(w, "  %s (%s)  LEAVES\n    identity %s\n", o.Name, o.Entity, client.FormatIdentity(o.Identity))
		}
	}
	return nil
}
