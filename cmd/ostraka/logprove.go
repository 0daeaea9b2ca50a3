package main

import (
	"context"
	"encoding/hex"
	"fmt"
	"io"
	"slices"
	"time"

	"connectrpc.com/connect"
	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	v1 "github.com/ostraka/ostraka/api/ostraka/v1"
	"github.com/ostraka/ostraka/api/ostraka/v1/ostrakav1connect"
	"github.com/ostraka/ostraka/client"
	"github.com/ostraka/ostraka/evidence/tlog"
)

func (a *app) logProveCommand() *cobra.Command {
	out := ""
	c := &cobra.Command{
		Use: "prove N|ID", Short: "Write a proof that an entry stands in the log, which anybody can check offline", Args: entryName,
		Long: "The proof is a C2SP tlog-proof: the latest checkpoint with its cosignatures, the path from the entry to its root, and the entry's leaf.\n" +
			"It shows of the entry what the tree shows: kind, time, vault and ids, not the body. `ostraka log check` reads it.",
		Example: "  ostraka log prove 4711 -o payment.tlog-proof",
		RunE: func(c *cobra.Command, args []string) error {
			ctx, cancel := a.within(c.Context(), time.Minute)
			defer cancel()
			own, head, err := a.ownLog(ctx)
			if err != nil {
				return err
			}
			e, err := a.findEntry(ctx, own, head.Size, args[0])
			if err != nil {
				return err
			}
			return a.logProve(ctx, own, head, e, out)
		},
	}
	c.Flags().StringVarP(&out, "out", "o", "", "file to write (default: NUMBER.tlog-proof)")
	return c
}

type placeDocument struct {
	File     string             `json:"file"`
	Number   uint64             `json:"number"`
	Kind     string             `json:"kind"`
	Time     string             `json:"time"`
	VaultID  string             `json:"vault_id,omitempty"`
	ID       string             `json:"id"`
	About    string             `json:"about,omitempty"`
	Origin   string             `json:"origin"`
	Size     int64              `json:"size"` // of the checkpoint
	Root     string             `json:"root"`
	Cosigned []cosignedDocument `json:"cosigned"`
}

func (d placeDocument) print(w io.Writer) {
	fmt.Fprint(w, line("Entry %d of log %s, below the checkpoint of %d entries:\n", d.Number, d.Origin, d.Size))
	fmt.Fprint(w, line("  %s at %s, id %s\n", d.Kind, d.Time, d.ID))
	if d.About != "" {
		fmt.Fprint(w, line("  about %s\n", d.About))
	}
	for _, c := range d.Cosigned {
		fmt.Fprint(w, line("  cosigned by %s at %s\n", c.Witness, c.Time))
	}
}

func (a *app) logProve(ctx context.Context, own ostrakav1connect.OperatorClient, head *v1.LogHeadResponse, e logEntry, out string) error {
	res, err := own.LogProof(ctx, connect.NewRequest(&v1.LogProofRequest{Index: e.index}))
	if err != nil {
		return a.operatorError(err)
	}
	var witnesses []string
	for _, k := range head.Known {
		if k.Operator != head.Operator {
			witnesses = append(witnesses, k.WitnessKey)
		}
	}
	log, known, err := proofKeys(head.LogKey, witnesses)
	if err != nil {
		return unverified("`ostraka log head` shows the node's keys", "what the node says of its keys: %w", err)
	}
	d, err := checkProof(res.Msg.Proof, log, tlog.Distinct(log, known))
	if err != nil {
		return err
	}
	if out == "" {
		out = fmt.Sprintf("%d.tlog-proof", e.index)
	}
	if err := client.Replace(out, res.Msg.Proof, 0o644); err != nil {
		return err
	}
	d.File = out
	return a.show(d, func(w io.Writer) {
		d.print(w)
		fmt.Fprint(w, line("\nWritten to %s. Next: `ostraka log check %s --key '%s'`\n", out, out, head.LogKey))
	})
}

// proofKeys reads the keys that a proof is held to; an error names the flag of the one that is none.
func proofKeys(key string, witnesses []string) (log tlog.LogVerifier, known []tlog.Witness, err error) {
	if log, err = logKey("--key", key); err != nil {
		return log, nil, err
	}
	for _, text := range witnesses {
		w, err := witnessKey(text)
		if err != nil {
			return log, nil, err
		}
		known = append(known, w)
	}
	return log, known, nil
}

// checkProof verifies a proof's file with nothing but keys.
func checkProof(file []byte, log tlog.LogVerifier, known []tlog.Witness) (d placeDocument, err error) {
	const next = "believe nothing of it; ask whoever gave it to you for another, and compare the keys with the operators"
	p, err := tlog.ParseProof(file)
	if err != nil {
		return d, unverified(next, "%w", err)
	}
	if len(p.Extra) == 0 {
		return d, unverified(next, "the proof does not hold the entry's leaf")
	}
	at, cosigned, err := p.Verify(p.Extra, log, known)
	if err != nil {
		return d, unverified(next, "%w", err)
	}
	leaf, err := tlog.Decode(p.Extra)
	if err != nil {
		return d, unverified(next, "%w", err)
	}
	d = placeDocument{
		Number: uint64(p.Index), Kind: leaf.Kind, Time: stampOf(leaf.Time), VaultID: hexOrNone(leaf.Vault), ID: hexOrNone(leaf.ID), About: hexOrNone(leaf.About),
		Origin: at.Origin, Size: at.Head.Size, Root: hex.EncodeToString(at.Head.Root[:]), Cosigned: []cosignedDocument{},
	}
	for _, c := range cosigned {
		d.Cosigned = append(d.Cosigned, cosignedDocument{Witness: c.Name, Time: stampOf(c.Time)})
	}
	return d, nil
}

// logKey reads a log's key, and witnessKey a witness's: one is easily taken for the other.
func logKey(flag, vkey string) (tlog.LogVerifier, error) {
	v, err := tlog.ParseLogVerifier(vkey)
	if err == nil {
		return v, nil
	}
	if _, other := tlog.ParseWitness(vkey); other == nil {
		return v, usage("that is a witness's key; %s wants the log's, which begins ostraka.log/", flag)
	}
	return v, usage("%s: %w", flag, err)
}

func witnessKey(vkey string) (tlog.Witness, error) {
	w, err := tlog.ParseWitness(vkey)
	if err == nil {
		return w, nil
	}
	if _, other := tlog.ParseLogVerifier(vkey); other == nil {
		return w, usage("that is a log's key; --witness wants a witness's, which an operator's node begins with ostraka.witness/")
	}
	return w, usage("--witness: %w", err)
}

func (a *app) logCheckCommand() *cobra.Command {
	var key string
	var witnesses []string
	c := &cobra.Command{
		Use: "check FILE", Short: "Verify a proof that `log prove` wrote, offline, with nothing but keys", Args: exactly("FILE"),
		Long: "Says which entry is in the log, and who cosigned the checkpoint above it. Every --witness must have cosigned. Where the keys come from is\n" +
			"yours to know: `ostraka log head` prints an operator's, each operator publishes its own, and the charter's operators vouch for one another.",
		RunE: func(_ *cobra.Command, args []string) error {
			if key == "" {
				return usage("give the log's key: --key LOG-KEY, as `ostraka log head` prints it")
			}
			file, err := readBounded(args[0], tlog.MaxProofFile)
			if err != nil {
				return err
			}
			log, known, err := proofKeys(key, witnesses)
			if err != nil {
				return err
			}
			d, err := checkProof(file, log, known)
			if err != nil {
				return err
			}
			for _, x := range known {
				if !slices.ContainsFunc(d.Cosigned, func(c cosignedDocument) bool { return c.Witness == x.Name() }) {
					return unverified("ask for a proof below a later checkpoint, or for why that witness does not cosign", "witness %s has not cosigned the checkpoint", x.Name())
				}
			}
			d.File = args[0]
			return a.show(d, d.print)
		},
	}
	c.Flags().StringVar(&key, "key", "", "the log's key, which begins ostraka.log/ (required); --log-key is the same")
	c.Flags().SetNormalizeFunc(func(_ *pflag.FlagSet, name string) pflag.NormalizedName {
		if name == "log-key" { // as log read has it
			name = "key"
		}
		return pflag.NormalizedName(name)
	})
	c.Flags().StringArrayVar(&witnesses, "witness", nil, "key of a witness that must have cosigned (may be repeated)")
	return c
}
