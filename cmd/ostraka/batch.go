package main

import (
	"bytes"
	"context"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"math/big"
	"slices"
	"strings"
	"time"

	v1 "github.com/ostraka/ostraka/api/ostraka/v1"
	"github.com/ostraka/ostraka/chain/evm"
	"github.com/ostraka/ostraka/client"
	"github.com/ostraka/ostraka/custody/charter"
	"github.com/ostraka/ostraka/custody/intent"
	"github.com/ostraka/ostraka/custody/statement"
	"github.com/ostraka/ostraka/node/decide"
)

// maxBatch bounds a file of transfers, in bytes.
const maxBatch = 256 << 10

// maxMemo is an intent's own bound, in bytes; it is checked here to name line and column.
const maxMemo = 512

// A batchLine is one transfer of a file.
type batchLine struct {
	at     int // line of the file
	to     evm.Address
	token  *evm.Address
	amount string
	memo   string
}

var batchColumns = []string{"to", "amount", "token", "memo"}

// readBatch reads a file of transfers. The error lists all that is wrong, each with its line and column.
func readBatch(file []byte) (lines []batchLine, err error) {
	r := csv.NewReader(bytes.NewReader(bytes.TrimPrefix(file, []byte("\xef\xbb\xbf")))) // as spreadsheets begin a file
	r.TrimLeadingSpace = true
	header, err := r.Read()
	if errors.Is(err, io.EOF) {
		return nil, errors.New("the file is empty: its first line is to,amount,token,memo")
	}
	if err != nil {
		return nil, err
	}
	column := map[string]int{}
	for i, name := range header {
		name = strings.ToLower(strings.TrimSpace(name))
		if _, twice := column[name]; twice || !slices.Contains(batchColumns, name) {
			return nil, fmt.Errorf("line 1, column %d: %q is not one of %s, each once", i+1, name, strings.Join(batchColumns, ", "))
		}
		column[name] = i
	}
	for _, name := range batchColumns[:2] {
		if _, ok := column[name]; !ok {
			return nil, fmt.Errorf("line 1: column %q is missing", name)
		}
	}
	var wrong []error
	for {
		row, err := r.Read()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return nil, err // names line and column
		}
		if len(lines) == decide.MaxOpen {
			return nil, fmt.Errorf("it has more than %d transfers, and nobody may have more open intents in one vault", decide.MaxOpen)
		}
		line, errs := readBatchLine(r, row, column)
		lines, wrong = append(lines, line), append(wrong, errs...)
	}
	if len(lines) == 0 && len(wrong) == 0 {
		return nil, errors.New("it has a header and no transfer")
	}
	return lines, errors.Join(wrong...)
}

func readBatchLine(r *csv.Reader, row []string, column map[string]int) (l batchLine, wrong []error) {
	l.at, _ = r.FieldPos(0)
	cell := func(name string) string {
		if i, ok := column[name]; ok {
			return strings.TrimSpace(row[i])
		}
		return ""
	}
	fail := func(name string, err error) {
		wrong = append(wrong, fmt.Errorf("line %d, column %s: %w", l.at, name, err))
	}
	var err error
	if l.to, err = evm.ParseAddress(cell("to")); err != nil {
		fail("to", err)
	}
	if text := cell("token"); text != "" {
		token, err := evm.ParseAddress(text)
		if err != nil {
			fail("token", err)
		}
		l.token = &token
	}
	l.amount, l.memo = cell("amount"), cell("memo")
	if n, err := evm.ParseUnits(l.amount, 255); err != nil && !strings.Contains(err.Error(), "above") {
		fail("amount", err)
	} else if err == nil && n.Sign() == 0 {
		fail("amount", errors.New("it is zero"))
	}
	if err := statement.CheckText(l.memo, maxMemo); err != nil && l.memo != "" {
		fail("memo", err)
	}
	return l, wrong
}

// A batch is transfers that were checked, and nothing of them was signed.
type batch struct {
	lines      []batchLine
	statements []statement.Statement
	facts      []evm.Facts
}

type batchDocument struct {
	Intents []batchedDocument `json:"intents"`
	Sums    []paidSum         `json:"sums"`
	Notes   []string          `json:"notes"`
}

type batchedDocument struct {
	Line int `json:"line"`
	txDocument
}

// A paidSum is what a batch moves of one asset, and the fees at most, in people's units where the charter or a node says them.
type paidSum struct {
	Asset  string `json:"asset"`
	Amount string `json:"amount"`
}

func (a *app) proposeBatch(ctx context.Context, p proposal) error {
	if err := p.check(); err != nil {
		return err
	}
	file, err := readBounded(p.batch, maxBatch)
	if err != nil {
		return err
	}
	lines, err := readBatch(file)
	if err != nil {
		return fail(codeError, fmt.Errorf("%s: %w", p.batch, err), "mend the file: nothing was proposed")
	}
	ctx, cancel := a.within(ctx, proposeTimeout)
	defer cancel()
	return a.inVault(ctx, p.vault, func(ctx context.Context, c *client.Circle, v client.Vault) error {
		b, decimals, err := p.prepareBatch(ctx, c, v, lines)
		if err != nil {
			return err
		}
		doc := batchDocument{Intents: []batchedDocument{}, Sums: b.sums(v.InForce().Document, decimals), Notes: list(notesOn(lines, v.InForce().Document, b.facts))}
		a.sayBatch(b, doc, v, decimals)
		if err := a.confirm(p.yes, fmt.Sprintf("Sign and propose %d intents?", len(lines))); err != nil {
			return err
		}
		return a.handBatch(ctx, c, v, b, doc, p)
	})
}

// prepareBatch makes all intents, or none. decimals are of each token, as two nodes read them.
func (p proposal) prepareBatch(ctx context.Context, c *client.Circle, v client.Vault, lines []batchLine) (b batch, decimals map[evm.Address]uint8, err error) {
	b.lines = lines
	t := client.Transfer{Legacy: p.legacy, Life: p.expires.Truncate(time.Second)}
	if t.Sender, err = evmSender(ctx, c, v, p.chain, p.account); err != nil {
		return b, nil, err
	}
	if err := p.numbers(&t); err != nil {
		return b, nil, err
	}
	all, _, err := c.Cases(ctx, []client.Vault{v}, v.ID)
	if err != nil {
		return b, nil, err
	}
	if open := openOf(all, v, c.Signer()); open+len(lines) > decide.MaxOpen {
		return b, nil, refused("wait until some are signed, cancel some, or propose fewer", "you have %d open intents in vault %s, and %d more would be more than %d", open, v.Name, len(lines), decide.MaxOpen)
	}
	address, _, err := v.Address(t.Root, t.Chain, t.Path())
	if err != nil {
		return b, nil, err
	}
	from, err := evm.ParseAddress(address)
	if err != nil {
		return b, nil, err
	}
	amounts, decimals, err := p.batchAmounts(ctx, c, t, from, lines)
	if err != nil {
		return b, nil, err
	}
	next, err := p.oneQuote(ctx, c, &t, from, lines[0], amounts[0], all)
	if err != nil {
		return b, nil, err
	}
	var wrong []error
	for i, l := range lines {
		nonce := next
		if p.nonce == "" {
			nonce = client.FreeNonce(all, address, t.Chain, next, time.Now())
		}
		next = nonce + 1
		t.To, t.Token, t.Amount, t.Memo, t.Nonce = l.to, l.token, amounts[i], l.memo, &nonce
		s, err := c.Prepare(ctx, t)
		if err == nil {
			var it intent.Intent
			var tx *evm.Transaction
			if it, err = intent.Of(s); err == nil {
				if tx, err = evm.Decode(it.Transaction); err == nil {
					b.facts = append(b.facts, tx.Facts())
				}
			}
		}
		if err != nil {
			wrong = append(wrong, fmt.Errorf("%s: line %d: %w", p.batch, l.at, err))
		}
		b.statements = append(b.statements, s)
	}
	return b, decimals, explainQuote(errors.Join(wrong...))
}

// openOf counts the signer's intents in a vault that are neither signed nor ended.
func openOf(all []*client.Case, v client.Vault, s *client.Signer) (n int) {
	if s == nil {
		return 0
	}
	who, _ := v.Who(s.Key())
	for _, x := range all {
		if x.Intent.Initiator == who && x.Signed == nil && !x.Closed() {
			n++
		}
	}
	return n
}

// batchAmounts are in smallest units. Each token's decimals are read once, by two nodes.
func (p proposal) batchAmounts(ctx context.Context, c *client.Circle, t client.Transfer, from evm.Address, lines []batchLine) (out []*big.Int, decimals map[evm.Address]uint8, err error) {
	decimals = map[evm.Address]uint8{}
	var wrong []error
	for _, l := range lines {
		places := uint8(evm.EtherDecimals)
		if l.token != nil {
			known, asked := decimals[*l.token]
			if !asked {
				q, err := c.Quote(ctx, t.Chain, from, l.to, new(big.Int), l.token, nil)
				if err != nil {
					return nil, nil, fmt.Errorf("%s: line %d, column token: read its decimals: %w", p.batch, l.at, explainQuote(err))
				}
				known = q.Decimals
				decimals[*l.token] = known
			}
			places = known
		}
		if p.unit == "wei" {
			places = 0
		}
		n, err := evm.ParseUnits(l.amount, places)
		if err != nil {
			wrong = append(wrong, fmt.Errorf("line %d, column amount: %w", l.at, err))
		}
		out = append(out, n)
	}
	if len(wrong) > 0 {
		return nil, nil, fail(codeError, fmt.Errorf("%s: %w", p.batch, errors.Join(wrong...)), "mend the file: nothing was proposed")
	}
	return out, decimals, nil
}

// oneQuote reads what all share, and was not given: the first nonce, and the fees.
func (p proposal) oneQuote(ctx context.Context, c *client.Circle, t *client.Transfer, from evm.Address, l batchLine, amount *big.Int, all []*client.Case) (next uint64, err error) {
	if t.Nonce != nil && t.FeeCap != nil && (t.Legacy || t.TipCap != nil) {
		return *t.Nonce, nil
	}
	q, err := c.Quote(ctx, t.Chain, from, l.to, amount, l.token, nil)
	if err != nil {
		return 0, explainQuote(err)
	}
	if t.FeeCap == nil {
		t.FeeCap = q.FeeCap
	}
	if t.TipCap == nil && !t.Legacy {
		if t.TipCap = q.TipCap; t.TipCap.Cmp(t.FeeCap) > 0 {
			t.TipCap = t.FeeCap
		}
	}
	if t.Nonce != nil {
		return *t.Nonce, nil
	}
	if err := client.KeptBack(all, from.String(), t.Chain, q.Nonce); err != nil {
		return 0, err
	}
	return client.FreeNonce(all, from.String(), t.Chain, q.Nonce, time.Now()), nil
}

// amountOf writes an amount in people's units.
func amountOf(f evm.Facts, d charter.Document, decimals map[evm.Address]uint8, n *big.Int) (asset, amount string) {
	places := uint8(evm.EtherDecimals)
	if f.Token != nil {
		places = decimals[*f.Token]
	}
	asset = f.Asset
	if x, ok := assetOf(d, f.Asset); ok {
		asset = x.Name
	}
	return asset, evm.FormatUnits(n, places)
}

func (b batch) sums(d charter.Document, decimals map[evm.Address]uint8) []paidSum {
	sums, facts, fees := map[string]*big.Int{}, map[string]evm.Facts{}, new(big.Int)
	var order []string
	for _, f := range b.facts {
		if sums[f.Asset] == nil {
			sums[f.Asset], facts[f.Asset], order = new(big.Int), f, append(order, f.Asset)
		}
		sums[f.Asset].Add(sums[f.Asset], f.Amount)
		fees.Add(fees, f.MaxFee)
	}
	out := []paidSum{}
	for _, name := range order {
		asset, amount := amountOf(facts[name], d, decimals, sums[name])
		out = append(out, paidSum{asset, amount})
	}
	return append(out, paidSum{"fees at most", evm.FormatUnits(fees, evm.EtherDecimals)})
}

// notesOn points out what people confuse: the same line twice, and addresses that look alike where only their ends are read, in the file and
// beside the charter's payees.
func notesOn(lines []batchLine, d charter.Document, facts []evm.Facts) (notes []string) {
	for i, l := range lines {
		for _, o := range lines[:i] {
			same := l.to == o.to && (l.token == nil) == (o.token == nil) && (l.token == nil || *l.token == *o.token)
			if same && l.amount == o.amount {
				notes = append(notes, fmt.Sprintf("line %d pays the same to the same as line %d", l.at, o.at))
			}
			if alike(l.to, o.to) {
				notes = append(notes, fmt.Sprintf("line %d: %s looks like %s of line %d, and is another", l.at, l.to, o.to, o.at))
			}
		}
		for _, p := range d.Payees {
			address, err := evm.ParseAddress(p.Address)
			if err == nil && p.Chain == fmt.Sprintf("eip155:%d", facts[i].ChainID) && alike(l.to, address) {
				notes = append(notes, fmt.Sprintf("line %d: %s looks like %s, which is payee %s, and is another", l.at, l.to, address, p.Name))
			}
		}
	}
	return notes
}

// alike says that two addresses differ, and begin and end with the same four digits: who makes addresses to be mistaken for others searches
// for such.
func alike(a, b evm.Address) bool {
	return a != b && bytes.Equal(a[:2], b[:2]) && bytes.Equal(a[len(a)-2:], b[len(b)-2:])
}

func (a *app) sayBatch(b batch, doc batchDocument, v client.Vault, decimals map[evm.Address]uint8) {
	d := v.InForce().Document
	for i, l := range b.lines {
		f := b.facts[i]
		asset, amount := amountOf(f, d, decimals, f.Amount)
		to := l.to.String()
		if p, ok := payeeAt(d, fmt.Sprintf("eip155:%d", f.ChainID), to); ok {
			to += " (" + p.Name + ")"
		}
		a.say("  line %d: %s %s to %s, nonce %d, fee at most %s  %s", l.at, amount, asset, to, f.Nonce, evm.FormatUnits(f.MaxFee, evm.EtherDecimals), l.memo)
	}
	for _, s := range doc.Sums {
		a.say("Sum: %s %s", s.Amount, s.Asset)
	}
	for _, n := range doc.Notes {
		a.say("NOTE: %s", n)
	}
	a.say("Each is signed by itself: a security key must be touched %d times. Nothing is handed to the nodes before all are signed.", len(b.lines))
}

// handBatch signs all, hands each to every node, and follows them one after the other.
func (a *app) handBatch(ctx context.Context, c *client.Circle, v client.Vault, b batch, doc batchDocument, p proposal) error {
	var signed []*v1.SubmitRequest
	for i, s := range b.statements {
		a.progress("signing %d of %d", i+1, len(b.statements))
		req, err := c.SignStatement(ctx, s)
		if err != nil {
			a.progressEnds()
			return err
		}
		signed = append(signed, req)
	}
	a.progressEnds()
	for i, req := range signed {
		id := b.statements[i].ID()
		if _, err := c.Submit(ctx, req).Need("propose", 1); err != nil {
			return submitted(ctx, id, false, fmt.Errorf("%d of %d intents are with the nodes; line %d: %w", i, len(signed), b.lines[i].at, err))
		}
		a.say("Proposed: line %d, intent %s", b.lines[i].at, id)
	}
	var first error
	for i, s := range b.statements {
		one, err := a.followOne(ctx, c, v, s.ID(), p)
		if one != nil {
			doc.Intents = append(doc.Intents, batchedDocument{b.lines[i].at, txOf(one, nil)})
		}
		if err != nil {
			a.say("note: line %d, intent %s: %v", b.lines[i].at, s.ID().Short(), err)
			if first == nil {
				first = submitted(ctx, s.ID(), true, fmt.Errorf("line %d: %w", b.lines[i].at, err))
			}
		}
	}
	if err := a.show(doc, func(w io.Writer) { printBatch(w, doc) }); err != nil {
		return err
	}
	return first
}

func (a *app) followOne(ctx context.Context, c *client.Circle, v client.Vault, id statement.ID, p proposal) (*client.Case, error) {
	vaults := []client.Vault{v}
	if p.noWait {
		one, _, err := c.Case(ctx, vaults, id)
		return one, err
	}
	one, err := c.Follow(ctx, vaults, id, 250*time.Millisecond, func(x *client.Case) bool { return reached(x, p.until) },
		func(x *client.Case, _ []client.Failure) { a.progress("%s: %s", id.Short(), x.State()) })
	a.progressEnds()
	return one, followed(id, one, err)
}

func printBatch(w io.Writer, d batchDocument) {
	for _, x := range d.Intents {
		hash := ""
		if x.Signed != nil {
			hash = x.Signed.Hash
		}
		fmt.Fprintf(w, "%.8s  line %d  %-10s %s\n", x.ID, x.Line, x.State, hash)
	}
	for _, s := range d.Sums {
		fmt.Fprintf(w, "Sum: %s %s\n", s.Amount, s.Asset)
	}
}
