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
	"github.com/ostraka/ostraka/custody/sos/act"
	"github.com/ostraka/ostraka/custody/statement"
)

const maxStatementFile = 64 << 10

// living is what somebody asks of `sos alive`.
type living struct{ out, request, carry string }

func (a *app) sosAliveCommand() *cobra.Command {
	var x living
	c := &cobra.Command{
		Use: "alive [REQUEST]", Short: "Show that an operator lives that a request calls lost: its own node says so, or anybody carries the proof", Args: oneAtMost,
		Long: "On the operator's own machine: its node does now what it does by itself, and says how far it is. It proves that it knows its shares, and has the vault sign with\n" +
			"it; both together end a request for silence, refusal or below-threshold at every node. One for compromise or legal, guardians end.\n\n" +
			"If the node reaches nobody, --out FILE writes a proof of life, for a request that it knows, or that you were handed (--request FILE, its statement). Whoever has\n" +
			"the file hands it to all nodes with --carry FILE, and needs no key. The proof alone ends nothing: it tells everybody to wait, and the signature still has to come.\n\n" +
			"Exit code 5: something is in the way.",
		Example: "  ostraka sos alive\n  ostraka sos alive --request request.txt --out life.txt\n  ostraka sos alive --carry life.txt",
		RunE: func(c *cobra.Command, args []string) error {
			switch {
			case x.carry != "" && (x.out != "" || x.request != "" || len(args) > 0):
				return usage("--carry FILE hands in what another command made: it stands alone")
			case x.request != "" && (x.out == "" || len(args) > 0):
				return usage("--request FILE is for a proof that is carried: give --out FILE as well, and no REQUEST")
			case x.carry != "":
				return a.sosCarry(c.Context(), x.carry)
			}
			return a.sosAlive(c.Context(), &x, args)
		},
	}
	f := c.Flags()
	f.StringVar(&x.out, "out", "", "file to write a proof of life to")
	f.StringVar(&x.request, "request", "", "file with a request's statement, as somebody handed it to you")
	f.StringVar(&x.carry, "carry", "", "file with a proof of life, to hand to all nodes")
	return c
}

type aliveDocument struct {
	Requests []aliveRequest `json:"requests"`
	Proof    string         `json:"proof"` // file; empty: none was written
}

type aliveRequest struct {
	Request string `json:"request"`
	Vault   string `json:"vault"`
	State   string `json:"state"`
	Alive   bool   `json:"alive"`  // that the operator lives stands at its node
	Signed  bool   `json:"signed"` // and so does the live test signature
	Why     string `json:"why"`    // what is in the way; empty: nothing
}

func (a *app) sosAlive(c context.Context, x *living, args []string) error {
	ctx, cancel := a.within(c, 30*time.Second)
	defer cancel()
	ask := &v1.AnswerRequest{Proofs: x.out != ""}
	if x.request != "" {
		s, err := a.readStatement("--request", x.request, statement.SOSRequest)
		if err != nil {
			return err
		}
		ask.Request = s.Bytes()
	}
	res, err := client.Operator(a.dir).Answer(ctx, connect.NewRequest(ask))
	if err != nil {
		return a.operatorError(err)
	}
	doc, proofs := aliveDocument{Requests: []aliveRequest{}}, [][]byte{}
	for _, r := range res.Msg.Requests {
		id := fmt.Sprintf("%x", r.Request)
		if len(args) > 0 && !strings.HasPrefix(id, strings.ToLower(args[0])) {
			continue
		}
		doc.Requests = append(doc.Requests, aliveRequest{id, r.Name, r.State, r.Alive, r.Signed, r.Why})
		if len(r.Proof) > 0 {
			proofs = append(proofs, r.Proof)
		}
	}
	if err := unheard(args, doc.Requests); err != nil {
		return err
	}
	if x.out != "" {
		if len(proofs) > 1 {
			return usage("%d requests call this operator lost: name one of them, each has a proof of its own", len(proofs))
		}
		if len(proofs) == 1 {
			if err := writeNew(x.out, string(proofs[0])); err != nil {
				return err
			}
			doc.Proof = x.out
		}
	}
	if err := a.show(doc, doc.print); err != nil {
		return err
	}
	if x.out != "" && doc.Proof == "" {
		return notReady("`ostraka sos status` shows who asked for what", "there is no request that a proof of life of this operator would answer")
	}
	for _, r := range doc.Requests {
		if r.Why != "" && doc.Proof == "" {
			return notReady("`ostraka sos alive --out FILE` makes a proof that anybody can carry", "request %.8s of vault %s: %s", r.Request, r.Vault, r.Why)
		}
	}
	return nil
}

// unheard refuses an id of which the node has no request: all could be well, or the node does not have it yet, and nothing was answered.
func unheard(args []string, found []aliveRequest) error {
	if len(args) == 0 || len(found) > 0 {
		return nil
	}
	return fail(codeError, fmt.Errorf("your node has no request %.80q that calls this operator lost", args[0]), "`ostraka sos alive` shows all that it has, `ostraka sos status` what the other nodes have; one that your node does not have yet you answer with --request FILE --out FILE")
}

func (d aliveDocument) print(w io.Writer) {
	if len(d.Requests) == 0 {
		fmt.Fprintln(w, "No request calls this operator lost.")
	}
	for _, r := range d.Requests {
		said := map[bool]string{true: "said", false: "not said"}
		signed := map[bool]string{true: "signed", false: "not signed"}
		fmt.Fprintf(w, "request %.8s of vault %s (%s): that this operator lives is %s; the live test is %s\n", r.Request, r.Vault, r.State, said[r.Alive], signed[r.Signed])
		if r.Why != "" {
			fmt.Fprintf(w, "  %s\n", r.Why)
		}
	}
	if d.Proof != "" {
		fmt.Fprintf(w, "Proof of life: %s. Whoever has it hands it in: ostraka sos alive --carry FILE\n", d.Proof)
	}
}

func (a *app) readStatement(flag, path string, kind statement.Kind) (statement.Statement, error) {
	want := fileStatement(kind)
	raw, err := a.readAs(flag, path, want, maxStatementFile)
	if err != nil {
		return statement.Statement{}, err
	}
	s, err := statement.ParseKind(raw, kind)
	if err != nil {
		return s, a.damagedFile(flag, path, want, err)
	}
	return s, nil
}

// sosCarry hands a proof of life to every node of the context.
func (a *app) sosCarry(c context.Context, path string) error {
	s, err := a.readStatement("--carry", path, statement.SOSAlive)
	if err != nil {
		return err
	}
	x, err := act.AliveOf(s)
	if err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	ctx, cancel := a.within(c, time.Minute)
	defer cancel()
	_, chosen, err := a.chosen()
	if err != nil {
		return err
	}
	circle := client.Dial(chosen, nil, client.Cache{})
	defer circle.Close()
	taken := circle.HandIn(ctx, s)
	a.down(taken.Failures())
	if _, err := taken.Need("hand in the proof of life", 1); err != nil {
		return err
	}
	doc := struct {
		ID       string            `json:"id"`
		Request  string            `json:"request"`
		Operator string            `json:"operator"`
		Taken    []string          `json:"taken"`
		Failed   []failureDocument `json:"failed"`
	}{s.ID().String(), x.Request.String(), x.Operator, []string{}, failuresOf(taken.Failures())}
	for _, t := range taken.Good() {
		doc.Taken = append(doc.Taken, t.Node)
	}
	return a.show(doc, func(w io.Writer) {
		fmt.Fprintf(w, "proof of life of %s for request %.8s: taken by %s\n", doc.Operator, doc.Request, strings.Join(doc.Taken, ", "))
	})
}
