package main

import (
	"context"
	"fmt"
	"io"
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
	c := &cobra.Command{Use: "operator", Short: "Form a circle: invite, join, accept the roster"}
	c.AddCommand(a.inviteCommand(), a.joinCommand(), a.acceptCommand())
	return c
}

func (a *app) inviteCommand() *cobra.Command {
	var hours uint32
	c := &cobra.Command{
		Use: "invite", Short: "Make a one-use invitation for another operator: one line", Args: none,
		RunE: func(c *cobra.Command, _ []string) error {
			ctx, cancel := a.within(c.Context(), 15*time.Second)
			defer cancel()
			res, err := client.Operator(a.dir).Invite(ctx, connect.NewRequest(&v1.InviteRequest{Hours: hours}))
			if err != nil {
				return a.operatorError(err)
			}
			doc := struct {
				Line    string `json:"line"`
				Expires string `json:"expires"`
			}{res.Msg.Line, res.Msg.Expires}
			return a.show(doc, func(w io.Writer) {
				fmt.Fprintln(w, doc.Line)
				a.say("It is good once, until %s. Send it by a way that you trust; there they run `ostraka operator join LINE`.", doc.Expires)
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
				return &problem{codeUsage, err, "give the whole line that `ostraka operator invite` printed, in quotes"}
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
				fmt.Fprintf(w, "Joined at %s (%s).\n\nNext: once all operators have joined, run `ostraka operator accept` on every node.\n", doc.Operator, doc.Identity)
			})
		},
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

func (a *app) acceptCommand() *cobra.Command {
	var circle string
	var yes bool
	c := &cobra.Command{
		Use: "accept", Short: "Sign the roster as this operator's officer", Args: none,
		Long: "Shows the roster: every operator with its identity and address. Compare them with the others by telephone,\n" +
			"then sign. When one officer of every operator has signed, it is the circle's charter.",
		RunE: func(c *cobra.Command, _ []string) error {
			ctx, cancel := a.within(c.Context(), 5*time.Minute)
			defer cancel()
			res, err := client.Operator(a.dir).PrepareRoster(ctx, connect.NewRequest(&v1.PrepareRosterRequest{Circle: circle}))
			if err != nil {
				return a.operatorError(err)
			}
			doc, err := a.accept(ctx, res.Msg, statement.Roster, yes, describeRoster)
			if err != nil {
				return err
			}
			return a.show(doc, func(w io.Writer) {
				if len(doc.Missing) == 0 {
					fmt.Fprintf(w, "Roster %.8s is accepted by every operator: it is the charter.\n\nNext: `ostraka vault create -f FILE` on every node of the committee.\n", doc.ID)
					return
				}
				fmt.Fprintf(w, "Roster %.8s signed. Still to sign: %s\n\nNext: they run `ostraka operator accept`.\n", doc.ID, strings.Join(doc.Missing, ", "))
			})
		},
	}
	c.Flags().StringVar(&circle, "circle", "circle", "name of the circle, when this operator is the first to sign")
	c.Flags().BoolVar(&yes, "yes", false, "sign without asking")
	return c
}

func describeRoster(w io.Writer, s statement.Statement) error {
	r, err := charter.RosterOf(s)
	if err != nil {
		return err
	}
	fmt.Fprintf(w, "Roster of circle %q, made %s, id %s\n", r.Circle, statement.FormatTime(r.Created), s.ID())
	for _, o := range r.Operators {
		fmt.Fprintf(w, "  %s (%s)\n    identity %s\n    address  %s\n", o.Name, o.Entity, client.FormatIdentity(o.Identity), o.Address)
		for _, k := range o.Officers {
			fmt.Fprintf(w, "    officer  %s\n", k.Fingerprint())
		}
	}
	return nil
}
