package main

import (
	"fmt"
	"math/big"
	"strings"
	"testing"

	"github.com/ostraka/ostraka/chain/evm"
	"github.com/ostraka/ostraka/custody/charter"
	"github.com/ostraka/ostraka/node/decide"
)

const payeeA = "0x70997970C51812dc3A010C7d01b50e0d17dc79C8"

// like gives an address the first and last two bytes of another.
func like(t *testing.T, text string) evm.Address {
	t.Helper()
	a, err := evm.ParseAddress(text)
	if err != nil {
		t.Fatal(err)
	}
	b := evm.Address{5: 1}
	copy(b[:2], a[:2])
	copy(b[18:], a[18:])
	return b
}

func TestReadBatch(t *testing.T) {
	for name, c := range map[string]struct {
		file string
		want string // "line/to/amount/token/memo" of each, or what the error says
		bad  bool
	}{
		"one":                 {"to,amount\n" + payeeA + ",0.1\n", "2/0.1//", false},
		"other order, spaces": {"memo, Amount ,to\n\"rent, March\",1, " + payeeA + "\r\n", "2/1//rent, March", false},
		"token":               {"to,amount,token,memo\n" + payeeA + ",7," + payeeA + ",\n\n" + payeeA + ",8,,x\n", "2/7/" + payeeA + "/ 4/8//x", false},
		"spreadsheet":         {"\xef\xbb\xbfto,amount\n" + payeeA + ",0.1\n", "2/0.1//", false},
		"empty":               {"", "the file is empty", true},
		"header alone":        {"to,amount\n", "no transfer", true},
		"no header":           {payeeA + ",0.1\n", "line 1, column 1", true},
		"unknown column":      {"to,amount,gas\n", `line 1, column 3: "gas"`, true},
		"column twice":        {"to,amount,to\n", "line 1, column 3", true},
		"no amount":           {"to,memo\n", `column "amount" is missing`, true},
		"missing cell":        {"to,amount\n" + payeeA + "\n", "line 2", true},
		"bad quote":           {"to,amount\n" + payeeA + ",\"1\n", "line 2", true},
		"address":             {"to,amount\n" + payeeA + ",1\n0x12,1\n", "line 3, column to", true},
		"checksum":            {"to,amount\n0x70997970c51812dc3A010C7d01b50e0d17dc79C8,1\n", "line 2, column to", true},
		"amount":              {"to,amount\n" + payeeA + ",\"1,000\"\n", "line 2, column amount", true},
		"negative":            {"to,amount\n" + payeeA + ",-1\n", "line 2, column amount", true},
		"exponent":            {"to,amount\n" + payeeA + ",1e3\n", "line 2, column amount", true},
		"zero":                {"to,amount\n" + payeeA + ",0.00\n", "line 2, column amount: it is zero", true},
		"token's address":     {"to,amount,token\n" + payeeA + ",1,usdc\n", "line 2, column token", true},
		"memo of two lines":   {"to,amount,memo\n" + payeeA + ",1,\"a\nb\"\n", "line 2, column memo", true},
		"memo too long":       {"to,amount,memo\n" + payeeA + ",1," + strings.Repeat("x", 513) + "\n", "line 2, column memo", true},
		"all at once":         {"to,amount\n0x12,x\n0x13,1\n", "line 2, column to|line 2, column amount|line 3, column to", true},
		"as many as allowed":  {"to,amount\n" + strings.Repeat(payeeA+",1\n", decide.MaxOpen), strings.TrimSpace(many(decide.MaxOpen)), false},
		"too many":            {"to,amount\n" + strings.Repeat(payeeA+",1\n", decide.MaxOpen+1), "more than 64 transfers", true},
	} {
		lines, err := readBatch([]byte(c.file))
		if c.bad {
			for _, want := range strings.Split(c.want, "|") {
				if err == nil || !strings.Contains(err.Error(), want) {
					t.Errorf("%s: %v, want %q", name, err, want)
				}
			}
			continue
		}
		var got []string
		for _, l := range lines {
			token := ""
			if l.token != nil {
				token = l.token.String()
			}
			if l.to.String() != payeeA {
				t.Errorf("%s: to %s", name, l.to)
			}
			got = append(got, fmt.Sprintf("%d/%s/%s/%s", l.at, l.amount, token, l.memo))
		}
		if err != nil || strings.Join(got, " ") != c.want {
			t.Errorf("%s: %v, %v; want %s", name, got, err, c.want)
		}
	}
}

func many(n int) (all string) {
	for i := range n {
		all += fmt.Sprintf("%d/1// ", i+2)
	}
	return all
}

func TestBatchNotes(t *testing.T) {
	a, err := evm.ParseAddress(payeeA)
	if err != nil {
		t.Fatal(err)
	}
	b := like(t, payeeA)
	d := charter.Document{Payees: []charter.Payee{{Name: "rent", Chain: "eip155:1", Address: payeeA}, {Name: "elsewhere", Chain: "eip155:5", Address: payeeA}}}
	line := func(at int, to evm.Address, token *evm.Address, amount string) batchLine {
		return batchLine{at: at, to: to, token: token, amount: amount}
	}
	for name, c := range map[string]struct {
		lines []batchLine
		want  string
	}{
		"nothing":            {[]batchLine{line(2, a, nil, "1"), line(3, evm.Address{9}, nil, "1")}, ""},
		"twice":              {[]batchLine{line(2, a, nil, "1"), line(3, a, nil, "1")}, "line 3 pays the same to the same as line 2"},
		"another amount":     {[]batchLine{line(2, a, nil, "1"), line(3, a, nil, "2")}, ""},
		"of another token":   {[]batchLine{line(2, a, nil, "1"), line(3, a, &a, "1")}, ""},
		"looks like a payee": {[]batchLine{line(2, b, nil, "1")}, "looks like " + payeeA + ", which is payee rent"},
		"looks like another": {[]batchLine{line(2, a, nil, "1"), line(3, b, nil, "2")}, "of line 2, and is another"},
	} {
		facts := make([]evm.Facts, len(c.lines))
		for i := range facts {
			facts[i] = evm.Facts{ChainID: 1, Amount: new(big.Int)}
		}
		got := strings.Join(notesOn(c.lines, d, facts), "; ")
		if (got == "") != (c.want == "") || !strings.Contains(got, c.want) || strings.Contains(got, "elsewhere") {
			t.Errorf("%s: %q, want %q", name, got, c.want)
		}
	}
}
