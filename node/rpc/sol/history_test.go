package sol_test

import (
	"encoding/base64"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/ostraka/ostraka/chain/solana"
	"github.com/ostraka/ostraka/internal/components/litesvm"
	"github.com/ostraka/ostraka/node/rpc"
	"github.com/ostraka/ostraka/node/rpc/sol"
)

// says is an endpoint that answers everything with one thing.
func says(t testing.TB, answer string) *sol.Client {
	t.Helper()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprintf(w, `{"jsonrpc":"2.0","id":1,%s}`, answer)
	}))
	t.Cleanup(server.Close)
	c, err := sol.New(server.URL, rpc.Options{})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// landed is a transaction as an endpoint shows it.
func landed(b []byte, err string) string {
	return result(fmt.Sprintf(`{"slot":7,"blockTime":1,"meta":{"err":%s},"transaction":["%s","base64"],"version":"legacy"}`, err, base64.StdEncoding.EncodeToString(b)))
}

// What a real runtime ran is listed and shown.
func TestHistoryOnLiteSVM(t *testing.T) {
	n := litesvm.Start(t)
	n.Airdrop(t, litesvm.Address(vault), 5_000_000_000)
	sent := transfer(solana.Key(n.Blockhash(t)), 1_000_000, 0)
	text := n.Send(t, sent)
	slot := n.Warp(t, 5)
	c, err := sol.New(n.URL, rpc.Options{})
	if err != nil {
		t.Fatal(err)
	}
	all, err := c.Mentions(t.Context(), own, nil, slot)
	if err != nil || len(all) != 1 || all[0].ID.String() != text || all[0].Slot != slot-5 || all[0].Time.Unix() != n.Time(t)-5 {
		t.Fatalf("%+v, %v", all, err)
	}
	if rest, err := c.Mentions(t.Context(), own, &all[0].ID, slot); err != nil || len(rest) != 0 {
		t.Errorf("behind the last: %+v, %v", rest, err)
	}
	if _, err := c.Mentions(t.Context(), own, nil, slot+1); !sol.Busy(err) {
		t.Errorf("as of a slot to come: %v", err)
	}
	tx, at, failed, err := c.Landed(t.Context(), all[0].ID)
	if err != nil || tx.ID != text || at != slot-5 || failed || tx.Signers[0] != own {
		t.Errorf("%+v in slot %d, %v", tx, at, err)
	}
	if tx, _, _, err := c.Landed(t.Context(), sol.Signature{1}); tx != nil || err != nil {
		t.Errorf("one that nobody sent: %+v, %v", tx, err)
	}
	b, found, err := c.BlockAt(t.Context(), slot)
	if err != nil || !found || b.Hash != solana.Key(n.Blockhash(t)) || b.Time.Unix() != n.Time(t) || b.Slot != slot {
		t.Errorf("%+v, %v, %v", b, found, err)
	}
	for _, none := range []uint64{slot + 1, slot - 1} {
		if _, found, err := c.BlockAt(t.Context(), none); found || err != nil {
			t.Errorf("block of slot %d: %v, %v", none, found, err)
		}
	}
	if first, err := c.FirstBlock(t.Context()); first != 0 || err != nil {
		t.Errorf("it keeps all from slot %d on, %v", first, err)
	}
}

// Nothing that an endpoint makes up is taken for history.
func TestHistoryOfLiars(t *testing.T) {
	entry := func(slot uint64) string { return fmt.Sprintf(`{"signature":%q,"slot":%d,"blockTime":null}`, id, slot) }
	forged := append([]byte{}, raw...)
	forged[70] ^= 1
	mentions := func(c *sol.Client) error { _, err := c.Mentions(t.Context(), own, nil, 0); return err }
	shown := func(c *sol.Client) error { _, _, _, err := c.Landed(t.Context(), id); return err }
	block := func(c *sol.Client) error { _, _, err := c.BlockAt(t.Context(), 5); return err }
	first := func(c *sol.Client) error { _, err := c.FirstBlock(t.Context()); return err }
	for name, c := range map[string]struct {
		ask    func(*sol.Client) error
		answer string
		want   string // of the error; empty: there is none
	}{
		"a list":                      {mentions, result("[" + entry(9) + "," + entry(9) + "," + entry(8) + "]"), ""},
		"an empty list":               {mentions, result("[]"), ""},
		"a list out of order":         {mentions, result("[" + entry(8) + "," + entry(9) + "]"), "the last must come first"},
		"more than was asked for":     {mentions, result("[" + strings.Repeat(entry(9)+",", sol.MaxMentions) + entry(9) + "]"), "1001 transactions for 1000"},
		"no signature":                {mentions, result(`[{"slot":5}]`), "without signature or slot"},
		"no slot":                     {mentions, result(fmt.Sprintf(`[{"signature":%q}]`, id)), "without signature or slot"},
		"half a signature":            {mentions, result(`[{"signature":"abc","slot":5}]`), "another type"},
		"a slot of no size":           {mentions, result(fmt.Sprintf(`[{"signature":%q,"slot":-1}]`, id)), "another type"},
		"a time of no day":            {mentions, result(fmt.Sprintf(`[{"signature":%q,"slot":5,"blockTime":-5}]`, id)), "time -5, which is none"},
		"no list":                     {mentions, result(`null`), "answered with null"},
		"no history":                  {mentions, refusal(-32011, "Transaction history is not available from this node", "null"), "not available"},
		"the transaction":             {shown, landed(raw, "null"), ""},
		"one that failed":             {shown, landed(raw, `{"InstructionError":[0,{"Custom":1}]}`), ""},
		"nothing":                     {shown, result("null"), ""},
		"a forged signature":          {shown, landed(append([]byte{1}, append(make([]byte, 64), raw[65:]...)...), "null"), "number 1 does not verify"},
		"another message":             {shown, landed(forged, "null"), "what is none of that id"},
		"another transaction":         {shown, landed(transfer(hash, 6, 0), "null"), "its id is"},
		"no word on whether it did":   {shown, result(fmt.Sprintf(`{"slot":7,"transaction":["%s","base64"]}`, base64.StdEncoding.EncodeToString(raw))), "a word on whether it failed"},
		"another encoding":            {shown, result(fmt.Sprintf(`{"slot":7,"meta":{"err":null},"transaction":["%s","base58"]}`, base64.StdEncoding.EncodeToString(raw))), "bytes in base64"},
		"no base64":                   {shown, result(`{"slot":7,"meta":{"err":null},"transaction":["???","base64"]}`), "illegal base64"},
		"a version of the future":     {shown, refusal(-32015, "Transaction version (1) is not supported", "null"), sol.ErrVersion.Error()},
		"a block":                     {block, result(fmt.Sprintf(`{"blockhash":%q,"blockTime":5}`, hash)), ""},
		"a block without a time":      {block, result(fmt.Sprintf(`{"blockhash":%q,"blockTime":null}`, hash)), ""},
		"no block":                    {block, result("null"), ""},
		"a slot that stayed empty":    {block, refusal(-32009, "Slot 5 was skipped", "null"), ""},
		"a block without a hash":      {block, result(`{"blockTime":5}`), "without the block's hash"},
		"a block of no day":           {block, result(fmt.Sprintf(`{"blockhash":%q,"blockTime":99999999999999}`, hash)), "a time that is none"},
		"an endpoint that is busy":    {block, refusal(429, "Too many requests", "null"), "Too many requests"},
		"the first block":             {first, result("12"), ""},
		"a first block of no chain's": {first, result("18446744073709551615"), "to which no chain has come"},
	} {
		err := c.ask(says(t, c.answer))
		if (err == nil) != (c.want == "") || err != nil && !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v; want %q", name, err, c.want)
		}
		if sol.Busy(err) != strings.Contains(name, "busy") || sol.NoHistory(err) != (name == "no history") || errors.Is(err, sol.ErrVersion) != strings.Contains(name, "future") {
			t.Errorf("%s: it is taken for another refusal: %v", name, err)
		}
	}
}

// Whatever an endpoint answers, nothing of it is taken that is not of the form, and nobody falls over.
func FuzzHistory(f *testing.F) {
	f.Add(`[{"signature":"5Nnhjv1GVB8T1k8MguUGHQw5zQQQsWET1f1zzj8azRhnVoYQPoZPtkscPCKy6FisP2eVWehjU1EYV8zywqKm5if4","slot":7,"blockTime":1}]`)
	f.Add(`{"slot":7,"meta":{"err":null},"transaction":["` + base64.StdEncoding.EncodeToString(raw) + `","base64"]}`)
	f.Add(`{"blockhash":"11111111111111111111111111111112","blockTime":5}`)
	f.Add(`12`)
	f.Add(`null`)
	var answer string
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		fmt.Fprintf(w, `{"jsonrpc":"2.0","id":1,"result":%s}`, answer)
	}))
	f.Cleanup(server.Close)
	f.Fuzz(func(t *testing.T, text string) {
		answer = text
		dialled := func() *sol.Client {
			c, err := sol.New(server.URL, rpc.Options{}) // each begins to count requests at 1
			if err != nil {
				t.Fatal(err)
			}
			return c
		}
		all, err := dialled().Mentions(t.Context(), own, nil, 0)
		for i := range all {
			if err != nil || len(all) > sol.MaxMentions || i > 0 && all[i].Slot > all[i-1].Slot {
				t.Fatalf("%+v, %v", all, err)
			}
		}
		if tx, _, _, err := dialled().Landed(t.Context(), id); tx != nil && (err != nil || tx.ID != id.String()) {
			t.Fatalf("%+v, %v", tx, err)
		}
		if b, found, err := dialled().BlockAt(t.Context(), 5); found && (err != nil || b.Slot != 5) {
			t.Fatalf("%+v, %v", b, err)
		}
		_, _ = dialled().FirstBlock(t.Context())
	})
}
