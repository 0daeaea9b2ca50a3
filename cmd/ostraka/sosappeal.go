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
	"github.com/ostraka/ostraka/client/appeal"
	"github.com/ostraka/ostraka/client/carry"
	"github.com/ostraka/ostraka/custody/sos"
	"github.com/ostraka/ostraka/custody/statement"
	"github.com/ostraka/ostraka/node/rescue"
)

type appealDocument struct {
	Request     string            `json:"request"`
	Vault       string            `json:"vault"`
	Charter     string            `json:"charter"`
	File        string            `json:"file"`
	Bytes       int               `json:"bytes"`
	Activations []contributedPart `json:"activations"` // empty: nobody has activated it yet
	Begun       []string          `json:"begun"`       // operators whose node shows when its delay began
	Vetoes      []string          `json:"vetoes"`      // guardians
	Failed      []failureDocument `json:"failed"`
}

func (a *app) sosAppealCommand() *cobra.Command {
	var out string
	c := &cobra.Command{
		Use: "appeal REQUEST --out FILE", Short: "Write a request with all that verifies it to a file, for the guardians", Args: exactly("REQUEST"),
		Long: "The file holds the request, what people and nodes said of it, the charter, and what the guardians have of each key, encrypted to them alone: it holds no secret, and what the\n" +
			"charter says of people. Send one early, when the delay begins: a guardian's own clock counts from when their program had it first. Send another once\n" +
			"`ostraka sos activate` has named who gives their part and to whom: to that one guardians contribute. The charter is shown to its own people: it takes the key of an\n" +
			"officer, or of one of the vault's people.",
		Example: "  ostraka sos appeal 12345678 --out treasury.appeal --key ~/.ssh/officer",
		RunE: func(c *cobra.Command, args []string) error {
			if out == "" {
				return usage("say where: --out FILE")
			}
			ctx, cancel := a.within(c.Context(), 2*time.Minute)
			defer cancel()
			return a.sosAppeal(ctx, args[0], out)
		},
	}
	c.Flags().StringVar(&out, "out", "", "file to write")
	return c
}

func (a *app) sosAppeal(ctx context.Context, id, out string) error {
	circle, err := a.circle(ctx)
	if err != nil {
		return err
	}
	defer circle.Close()
	all, _, err := circle.Rescues(ctx)
	if err != nil {
		return err
	}
	r, q, err := client.FindRequest(all, id)
	if err != nil {
		return err
	}
	f, read, failed, err := circle.Appeal(ctx, q)
	a.down(failed)
	if err != nil {
		return err
	}
	raw := f.Bytes()
	if err := client.Replace(out, raw, 0o644); err != nil {
		return fmt.Errorf("write the appeal: %w", err)
	}
	doc := appealOf(r.Name, read)
	doc.File, doc.Bytes, doc.Failed = out, len(raw), failuresOf(failed)
	return a.show(doc, func(w io.Writer) { doc.print(w) })
}

func appealOf(vault string, x appeal.Asked) appealDocument {
	d := appealDocument{Request: x.Request.ID.String(), Vault: vault, Charter: x.Request.Charter.String(), Activations: []contributedPart{}, Begun: []string{}, Vetoes: []string{}}
	for _, k := range x.Keys {
		if k.Activation != nil {
			d.Activations = append(d.Activations, partOf(k, false))
		}
	}
	for _, s := range x.Steps {
		if s.State == sos.Contest.String() && !slices.Contains(d.Begun, s.Operator) {
			d.Begun = append(d.Begun, s.Operator)
		}
	}
	for _, v := range x.Vetoes {
		d.Vetoes = append(d.Vetoes, v.By)
	}
	slices.Sort(d.Begun)
	slices.Sort(d.Vetoes)
	return d
}

func partOf(k appeal.Key, again bool) contributedPart {
	v := k.Activation
	return contributedPart{v.ID.String(), k.Record.Suite, list(v.Contributors), list(v.Names()), v.Threshold, again}
}

func (d appealDocument) print(w io.Writer) {
	fmt.Fprintf(w, "%s holds request %.8s of vault %s (%d bytes).\n", d.File, d.Request, d.Vault, d.Bytes)
	fmt.Fprintf(w, "  the delay began at: %s; vetoes: %s\n", orNone(d.Begun), orNone(d.Vetoes))
	for _, x := range d.Activations {
		fmt.Fprintf(w, "  activation %.8s, %s: %s give their part; %s will hold the new shares\n", x.Activation, x.Suite, strings.Join(x.Contributors, ", "), strings.Join(x.Committee, ", "))
	}
	if len(d.Activations) == 0 {
		fmt.Fprint(w, "  nobody has activated it yet: guardians see it and note that they did; they need a newer file to contribute\n")
	}
	fmt.Fprintf(w, "\nSend it to the guardians, and tell them the charter's id by another way: %s\nA guardian runs: ostraka sos support --request %s --key guardian.age --out guardian.contribution\n", d.Charter, d.File)
}

type sentDocument struct {
	Guardian string     `json:"guardian"`
	Request  string     `json:"request"`
	Parts    []sentPart `json:"parts"`
	Late     []string   `json:"late"` // nodes at which the request is over
}

// lateFor names the nodes at which a request is over, so that a contribution to it moves nothing. It is given to others all the same: they may be behind.
func lateFor(all []client.Rescue, request string) []string {
	late := []string{}
	for _, r := range all {
		for _, q := range r.Requests {
			for _, v := range q.Views {
				if over := []string{sos.Expired.String(), sos.Vetoed.String(), sos.Closed.String()}; q.ID.String() == request && slices.Contains(over, v.State) {
					late = append(late, v.Node)
				}
			}
		}
	}
	return late
}

type sentPart struct {
	Activation string            `json:"activation"`
	Taken      []string          `json:"taken"` // nodes
	Failed     []failureDocument `json:"failed"`
}

// sosSend hands a contribution to every node. It needs no key.
func (a *app) sosSend(c context.Context, file string) error {
	raw, err := a.readAs("--send", file, fileContribution, carry.MaxFile)
	if err != nil {
		return err
	}
	x, err := carry.DecodeContribution(raw)
	if err != nil {
		return a.damagedFile("--send", file, fileContribution, err)
	}
	ctx, cancel := a.within(c, 2*time.Minute)
	defer cancel()
	_, chosen, err := a.chosen()
	if err != nil {
		return err
	}
	circle := client.Dial(chosen, nil, client.Cache{})
	defer circle.Close()
	doc := sentDocument{Guardian: x.Guardian, Request: x.Request.String(), Parts: []sentPart{}, Late: []string{}}
	for i, answers := range circle.Contribute(ctx, x) {
		if _, err := answers.Need("hand in the contribution of "+x.Guardian, 1); err != nil {
			return err
		}
		a.down(answers.Failures())
		one := sentPart{x.Parts[i].Activation.String(), []string{}, failuresOf(answers.Failures())}
		for _, y := range answers.Good() {
			one.Taken = append(one.Taken, y.Node)
		}
		doc.Parts = append(doc.Parts, one)
	}
	if all, _, err := circle.Rescues(ctx); err == nil {
		doc.Late = lateFor(all, doc.Request)
	}
	return a.show(doc, func(w io.Writer) {
		if len(doc.Late) > 0 {
			defer fmt.Fprintf(w, "It comes too late: the request is over at %s, and nothing comes of it.\n\nNext: `ostraka sos status` shows how it ended; a new request (`ostraka sos declare`) takes new contributions.\n", strings.Join(doc.Late, ", "))
		}
		for _, p := range doc.Parts {
			fmt.Fprintf(w, "contribution of %s to activation %.8s: taken by %s\n", doc.Guardian, p.Activation, strings.Join(p.Taken, ", "))
		}
	})
}

func (a *app) sosActivateCommand() *cobra.Command {
	var with []string
	var threshold int
	var instead bool
	c := &cobra.Command{
		Use: "activate VAULT", Short: "Once the delay is over, name who gives their part and who holds the new shares, as an operator of the vault", Args: exactly("VAULT"),
		Long: "Tells your own node, which names the operators that consent and are there, itself among them, and the new committee, for each key of the request. The other nodes hold it to\n" +
			"the plan that all operators signed, and sign it by themselves. Then the guardians contribute (`ostraka sos appeal`), and the nodes make the new shares.\n\n" +
			"One that all contributors signed, and whose people are there, is not replaced: guardians may be answering it, and what they contribute to it serves no other. Exit code 5 says\n" +
			"so. With --instead another is named all the same, where the ceremony of the first fails, for instance.",
		Example: "  ostraka sos activate treasury\n  ostraka sos activate treasury --with dora --threshold 2",
		RunE: func(c *cobra.Command, args []string) error {
			if threshold < 0 || threshold > statement.MaxOperators {
				return usage("--threshold: 2 to %d, or left out", statement.MaxOperators)
			}
			ctx, cancel := a.within(c.Context(), time.Minute)
			defer cancel()
			return a.sosActivate(ctx, args[0], with, threshold, instead)
		},
	}
	c.Flags().StringSliceVar(&with, "with", nil, "successor of the plan who shall hold a share (may be repeated; default: as many as are there and had seats before)")
	c.Flags().IntVar(&threshold, "threshold", 0, "how many of the new committee sign (default: as many as before, as far as it reaches)")
	c.Flags().BoolVar(&instead, "instead", false, "name another in the place of one that all contributors signed: what guardians contributed to that is lost")
	return c
}

// unactivated says what to do where a node cannot name a committee yet.
func unactivated(err error) error {
	if connect.CodeOf(err) != connect.CodeFailedPrecondition {
		return err
	}
	next := "`ostraka sos status` shows how far each node is; once the other contributors' nodes are ACTIVE too, run it again"
	switch text := err.Error(); {
	case strings.Contains(text, rescue.ErrAllFresh.Error()):
		next = "nothing is left to activate: treasurers run `ostraka sos sweep VAULT`, each member of the new committee `ostraka backup cut`, guardians `ostraka backup drill`; in LOCK-UP comes `ostraka sos close`"
	case strings.Contains(text, rescue.ErrCarried.Error()):
		next = "guardians answer that one: `ostraka sos appeal REQUEST --out FILE` writes the file for them, `ostraka sos status` shows how many did. Only if it fails, `--instead` names another, and they answer anew"
	case strings.Contains(text, "no SOS request"):
		next = "`ostraka sos status` shows each request, and what it waits for: it is activated when its delay is over, and before its window is"
	}
	return notReady(next, "%w", err)
}

func (a *app) sosActivate(ctx context.Context, name string, with []string, threshold int, instead bool) error {
	v, err := a.ownVault(ctx, name)
	if err != nil {
		return err
	}
	res, err := client.Operator(a.dir).Activate(ctx, connect.NewRequest(&v1.ActivateRequest{Vault: v.Id, Successors: with, Threshold: uint32(threshold), Instead: instead}))
	if err != nil {
		return unactivated(a.operatorError(err))
	}
	doc := struct {
		Vault       string   `json:"vault"`
		ID          string   `json:"id"`
		Activations []string `json:"activations"`
	}{v.Name, fmt.Sprintf("%x", v.Id), []string{}}
	for _, id := range res.Msg.Activations {
		doc.Activations = append(doc.Activations, fmt.Sprintf("%x", id))
	}
	return a.show(doc, func(w io.Writer) {
		for _, id := range doc.Activations {
			fmt.Fprintf(w, "activation %.8s of vault %s: the other contributors' nodes sign it now, or say why not\n", id, doc.Vault)
		}
		fmt.Fprintf(w, "\nNext: ostraka sos appeal REQUEST --out FILE, and send it to the guardians.\n")
	})
}
