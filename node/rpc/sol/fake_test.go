package sol_test

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/ostraka/ostraka/chain/solana"
	"github.com/ostraka/ostraka/internal/components/litesvm"
	"github.com/ostraka/ostraka/node/rpc"
	"github.com/ostraka/ostraka/node/rpc/sol"
)

// script answers methods with what stands beside "id", such as `"result":1`. A method that is missing is refused as unknown.
type script map[string]string

func (s script) but(pairs ...string) script {
	s = maps.Clone(s)
	for i := 0; i < len(pairs); i += 2 {
		s[pairs[i]] = pairs[i+1]
	}
	return s
}

func result(json string) string { return `"result":` + json }

// value is a result with the slot that it is of.
func value(json string) string {
	return result(`{"context":{"apiVersion":"3.1.0","slot":447552000},"value":` + json + `}`)
}

func refusal(code int, message, data string) string {
	return fmt.Sprintf(`"error":{"code":%d,"message":%q,"data":%s}`, code, message, data)
}

const (
	dead      = "dead"      // an endpoint that does not answer
	forgetful = "forgetful" // one that keeps no history
)

// serve serves each script at an endpoint of its own. All that is read must be read at "finalized".
func serve(t testing.TB, scripts ...script) *sol.Panel {
	t.Helper()
	var urls []string
	for _, s := range scripts {
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			var request struct {
				Version string `json:"jsonrpc"`
				ID      uint64
				Method  string
				Params  json.RawMessage
			}
			if err := json.NewDecoder(r.Body).Decode(&request); err != nil || request.Version != "2.0" {
				w.WriteHeader(http.StatusBadRequest) // a caller that went away
				return
			}
			answer, ok := s[request.Method]
			if !ok {
				answer = refusal(-32601, "Method not found", "null")
			}
			if s[forgetful] != "" && strings.Contains(string(request.Params), `"searchTransactionHistory":true`) {
				answer = refusal(-32011, "Transaction history is not available from this node", "null")
			}
			switch request.Method {
			case "getGenesisHash", "getHealth", "getSignatureStatuses", "getRecentPrioritizationFees":
			default:
				if !strings.Contains(string(request.Params), `ommitment":"finalized"`) {
					answer = refusal(-32602, "Invalid params: not of what is final", "null")
				}
			}
			fmt.Fprintf(w, `{"jsonrpc":"2.0","id":%d,%s}`, request.ID, answer)
		}))
		t.Cleanup(server.Close)
		if urls = append(urls, server.URL); s[dead] != "" {
			server.Close()
		}
	}
	return dial(t, urls...)
}

var (
	off  = script{dead: "x"}
	hash = solana.Key{20, 7}
	raw  = transfer(hash, 5, 0)
	id   = sol.Signature(raw[1:65])
)

func accountJSON(owner solana.Key, data []byte, lamports uint64) string {
	return fmt.Sprintf(`{"lamports":%d,"owner":"%s","data":["%s","base64"],"executable":false,"rentEpoch":18446744073709551615,"space":%d}`,
		lamports, owner, base64.StdEncoding.EncodeToString(data), len(data))
}

// holds are the accounts that are asked for, in their order.
func holds(all ...string) string { return value("[" + strings.Join(all, ",") + "]") }

// status is of one transaction.
func status(level string, slot uint64, err string) string {
	return value(fmt.Sprintf(`[{"slot":%d,"confirmations":null,"err":%s,"status":{"Ok":null},"confirmationStatus":"%s"}]`, slot, err, level))
}

// clockData is the data of the account that tells the time.
func clockData(seconds uint64) []byte {
	return binary.LittleEndian.AppendUint64(make([]byte, 32), seconds)
}

var sysvar = mustKey("Sysvar1111111111111111111111111111111111111")

// well is an endpoint at which all is well.
func well() script {
	return script{
		"getGenesisHash": result(`"` + litesvm.Genesis + `"`), "getHealth": result(`"ok"`), "getBlockHeight": result("426552000"),
		"getLatestBlockhash": value(`{"blockhash":"` + hash.String() + `","lastValidBlockHeight":426552150}`), "isBlockhashValid": value("true"),
		"getMultipleAccounts": holds(accountJSON(sysvar, clockData(1_800_000_000), 1)), "getMinimumBalanceForRentExemption": result("890880"),
		"getSignatureStatuses": status("finalized", 447551990, "null"), "sendTransaction": result(`"` + id.String() + `"`),
		"getRecentPrioritizationFees": result(`[{"slot":1,"prioritizationFee":0},{"slot":2,"prioritizationFee":20000},{"slot":3,"prioritizationFee":40000},{"slot":4,"prioritizationFee":30000}]`),
	}
}

func isDisagreement(err error) bool {
	return errors.As(err, new(*rpc.DisagreementError)) && !isMismatch(err) // a Mismatch would deny for good
}
func isMismatch(err error) bool { return errors.As(err, new(*rpc.Mismatch)) }
func isRejected(err error) bool { return errors.As(err, new(*rpc.Rejected)) }

// mint and held are data of a mint and of a token account of Token-2022, with what changes with every block: supply, amount and fees that wait.
func mintData(decimals byte, supply, waits uint64) []byte {
	b := make([]byte, 166, 400)
	binary.LittleEndian.PutUint64(b[36:], supply)
	b[44], b[45], b[165] = decimals, 1, 1
	fee := make([]byte, 108)
	binary.LittleEndian.PutUint64(fee[64:], waits)
	fee[90] = 9
	return append(append(b, 1, 0, 108, 0), fee...)
}

func heldData(owner solana.Key, amount, waits uint64) []byte {
	b := make([]byte, 166, 400)
	b[0] = 5 // the mint
	copy(b[32:], owner[:])
	binary.LittleEndian.PutUint64(b[64:], amount)
	b[108], b[165] = 1, 2
	return binary.LittleEndian.AppendUint64(append(b, 2, 0, 8, 0), waits)
}

// A fact is what a panel says, as text.
type fact func(context.Context, *sol.Panel) (string, error)

// said makes a fact of a value and an error.
func said[T any](ask func(context.Context, *sol.Panel) (T, error)) fact {
	return func(ctx context.Context, p *sol.Panel) (string, error) {
		v, err := ask(ctx, p)
		return fmt.Sprint(v), err
	}
}

var (
	chainIs = fact(func(ctx context.Context, p *sol.Panel) (string, error) { return "", p.CheckChain(ctx, litesvm.Chain) })
	valid   = said(func(ctx context.Context, p *sol.Panel) (bool, error) { return p.BlockhashValid(ctx, hash) })
	latest  = said(func(ctx context.Context, p *sol.Panel) (sol.Blockhash, error) { return p.LatestBlockhash(ctx) })
	height  = said(func(ctx context.Context, p *sol.Panel) (uint64, error) { return p.Height(ctx) })
	rent    = said(func(ctx context.Context, p *sol.Panel) (uint64, error) { return p.MinimumRent(ctx, 0) })
	price   = said(func(ctx context.Context, p *sol.Panel) (uint64, error) { return p.PriorityFee(ctx, nil) })
	became  = said(func(ctx context.Context, p *sol.Panel) (sol.Status, error) { return p.Status(ctx, id) })
	sends   = said(func(ctx context.Context, p *sol.Panel) (sol.Signature, error) { return p.Send(ctx, raw) })
	reads   = said(func(ctx context.Context, p *sol.Panel) (string, error) {
		all, err := p.Accounts(ctx, []solana.Key{payee})
		if err != nil {
			return "", err
		}
		is, err := all[0].Read()
		return fmt.Sprint(is, " ", all[0].Lamports), err
	})
	health = said(func(ctx context.Context, p *sol.Panel) (string, error) {
		h, err := p.Members()[0].Health(ctx)
		return fmt.Sprint(h.Chain, h.Height, h.At.Unix()), err
	})
)

// A verdict is what a panel should say.
type verdict struct {
	ask  fact
	of   []script
	want string // the answer, or of an error a part
	is   func(error) bool
}

func judge(t *testing.T, cases map[string]verdict) {
	t.Helper()
	for name, c := range cases {
		switch got, err := c.ask(t.Context(), serve(t, c.of...)); {
		case c.is == nil && (err != nil || got != c.want):
			t.Errorf("%s: %s, %v; want %s", name, got, err, c.want)
		case c.is != nil && (err == nil || !c.is(err) || !strings.Contains(err.Error(), c.want)):
			t.Errorf("%s: %s, %v; want an error with %q", name, got, err, c.want)
		}
	}
}

// isTrouble is an error of the environment: no verdict, whoever answers.
func isTrouble(err error) bool { return !isDisagreement(err) && !isMismatch(err) && !isRejected(err) }

// Nothing is signed on the word of an endpoint that others contradict, nor on that of a minority, whoever is right.
func TestPanelReads(t *testing.T) {
	ok := well()
	elsewhere := ok.but("getGenesisHash", result(`"5eykt4UsFv8P8NJdTREpY1vzqKqZKvdpKuc147dw2N9d"`))
	old, low := ok.but("isBlockhashValid", value("false")), ok.but("getBlockHeight", result("426551990"))
	later := solana.Key{21}
	ahead := ok.but("getLatestBlockhash", value(`{"blockhash":"`+later.String()+`","lastValidBlockHeight":426552151}`))
	dear := ok.but("getMinimumBalanceForRentExemption", result("890881"))
	b := fmt.Sprint(sol.Blockhash{Hash: hash, Last: 426552150})
	judge(t, map[string]verdict{
		"one":                                   {chainIs, []script{ok}, "", nil},
		"three, one is down":                    {chainIs, []script{ok, off, ok}, "", nil},
		"one of two is down":                    {chainIs, []script{ok, off}, "1 of 2 endpoints answer, and 2 must", isTrouble},
		"two of three are down":                 {chainIs, []script{off, ok, off}, "1 of 3 endpoints answer, and 2 must", isTrouble},
		"one is of another network":             {chainIs, []script{ok, elsewhere}, "that it does not fit: chain id", isDisagreement},
		"all are of another network":            {chainIs, []script{elsewhere, elsewhere}, "expected " + mainnet, isMismatch},
		"a hash that serves":                    {valid, []script{ok, ok, off}, "true", nil},
		"a hash that does not":                  {valid, []script{old, old}, "false", nil},
		"one says that a hash serves":           {valid, []script{old, ok}, "that it can", isDisagreement},
		"one of three says so":                  {valid, []script{old, ok, old}, "that it can", isDisagreement},
		"a hash, and one is down":               {valid, []script{ok, off}, "1 of 2", isTrouble},
		"the least height":                      {height, []script{ok, low, off}, "426551990", nil},
		"a height, and one is down":             {height, []script{ok, off}, "1 of 2", isTrouble},
		"the latest hash":                       {latest, []script{ok, ahead}, b, nil},
		"the latest hash, and the first is off": {latest, []script{off, ok, ok}, b, nil},
		"a hash that nobody takes":              {latest, []script{old, old}, "cannot be used; ask again", isTrouble},
		"a hash that one does not take":         {latest, []script{ok, old}, "that it cannot", isDisagreement},
		"rent":                                  {rent, []script{ok, ok}, "890880", nil},
		"two rents":                             {rent, []script{ok, dear}, "890881 lamports", isDisagreement},
		"prices":                                {price, []script{ok}, "30000", nil},
	})
}

// Endpoints agree on accounts byte for byte, but for what changes with every block.
func TestPanelAccounts(t *testing.T) {
	of := func(owner solana.Key, data []byte, lamports uint64) script {
		return well().but("getMultipleAccounts", holds(accountJSON(owner, data, lamports)))
	}
	none := well().but("getMultipleAccounts", holds("null"))
	wallet := of(solana.System, nil, 5)
	mint, token := solana.Token2022, "a token account of token-2022 for mint "+(solana.Key{5}).String()+", owned by "+payee.String()
	program := func(owner solana.Key, data string, executable bool) script {
		return well().but("getMultipleAccounts", holds(fmt.Sprintf(`{"lamports":1,"owner":"%s","data":["%s","base64"],"executable":%t,"space":%d}`, owner, data, executable, len(data)/4*3)))
	}
	fee := mintData(6, 1, 1)
	fee[len(fee)-1] = 1 // of another rate
	judge(t, map[string]verdict{
		"a wallet":                          {reads, []script{wallet}, "a wallet 5", nil},
		"the least that it holds":           {reads, []script{wallet, of(solana.System, nil, 4), off}, "a wallet 4", nil},
		"not there, as far as one knows":    {reads, []script{wallet, none}, "a wallet 0", nil},
		"one of two is down":                {reads, []script{wallet, off}, "1 of 2 endpoints answer", isTrouble},
		"a mint, as its supply grows":       {reads, []script{of(mint, mintData(6, 1, 1), 7), of(mint, mintData(6, 2, 2), 7)}, "a mint of token-2022 with 6 decimals and transfer-fee 7", nil},
		"another number of decimals":        {reads, []script{of(mint, mintData(6, 1, 1), 7), of(mint, mintData(9, 1, 1), 7)}, "account " + payee.String(), isDisagreement},
		"another fee":                       {reads, []script{of(mint, mintData(6, 1, 1), 7), of(mint, fee, 7)}, "278 bytes of SHA-256", isDisagreement},
		"a token account, as tokens come":   {reads, []script{of(mint, heldData(payee, 1, 1), 7), of(mint, heldData(payee, 2, 2), 7)}, token + " 7", nil},
		"of another owner":                  {reads, []script{of(mint, heldData(payee, 1, 1), 7), of(mint, heldData(own, 1, 1), 7)}, "178 bytes of SHA-256", isDisagreement},
		"the liar of three":                 {reads, []script{of(mint, heldData(payee, 1, 1), 7), of(mint, heldData(payee, 1, 1), 7), of(mint, heldData(own, 1, 1), 7)}, "SHA-256", isDisagreement},
		"a wallet, and a program's":         {reads, []script{wallet, of(sysvar, nil, 5)}, "that it is a wallet, or not there", isDisagreement},
		"a program's, whatever it holds":    {reads, []script{of(sysvar, []byte{1}, 5), of(sysvar, []byte{2, 3}, 5)}, "an account of another kind, owned by " + sysvar.String() + " 5", nil},
		"a program, or not":                 {reads, []script{program(tables, "", true), program(tables, "", false)}, "a program", isDisagreement},
		"a wallet, or a program of System":  {reads, []script{wallet, program(solana.System, "", true)}, "a program", isDisagreement},
		"a table, and a longer one":         {reads, []script{of(tables, table(own), 5), of(tables, table(own, payee), 5)}, "88 bytes of SHA-256", isDisagreement},
		"what contradicts itself, by both":  {reads, []script{of(mint, append(mintData(6, 1, 1), 1, 0, 0, 0), 7), of(mint, append(mintData(6, 1, 1), 1, 0, 0, 0), 7)}, "stands twice", isTrouble},
		"what contradicts itself, by one":   {reads, []script{of(mint, append(mintData(6, 1, 1), 1, 0, 0, 0), 7), of(mint, mintData(6, 1, 1), 7)}, "SHA-256", isDisagreement},
		"System's, with data, is no wallet": {reads, []script{of(solana.System, []byte{1}, 5)}, "an account of another kind, owned by " + solana.System.String() + " 5", nil},
	})
}

// What became of a transaction is what more than half have seen.
func TestPanelStatus(t *testing.T) {
	at := func(level string, slot uint64, err string) script {
		return well().but("getSignatureStatuses", status(level, slot, err))
	}
	none := well().but("getSignatureStatuses", value("[null]"))
	final, failed := at("finalized", 9, "null"), at("finalized", 9, `{"InstructionError": [0, {"Custom": 1}]}`)
	want := func(level sol.Level, slot uint64, err string) string {
		return fmt.Sprint(sol.Status{Level: level, Slot: slot, Err: err})
	}
	judge(t, map[string]verdict{
		"final":                            {became, []script{final}, want(sol.Finalized, 9, ""), nil},
		"final at two":                     {became, []script{final, none, final}, want(sol.Finalized, 9, ""), nil},
		"the liar says that it is":         {became, []script{final, none}, want(sol.Unknown, 0, ""), nil},
		"one of three says that it is":     {became, []script{none, final, none}, want(sol.Unknown, 0, ""), nil},
		"one of two is down":               {became, []script{final, off}, "1 of 2 endpoints answer", isTrouble},
		"one of three is down, one lies":   {became, []script{final, off, none}, want(sol.Unknown, 0, ""), nil},
		"as far as two have come":          {became, []script{final, at("confirmed", 9, "null"), none}, want(sol.Confirmed, 9, ""), nil},
		"one of three says that it failed": {became, []script{at("confirmed", 9, `{"InstructionError":[0,{"Custom":1}]}`), at("confirmed", 9, "null"), at("confirmed", 8, "null")}, "that it failed", isDisagreement},
		"without history":                  {became, []script{final.but(forgetful, "x"), final.but(forgetful, "x")}, want(sol.Finalized, 9, ""), nil},
		"unknown of late":                  {became, []script{none.but(forgetful, "x"), none.but(forgetful, "x"), none}, fmt.Sprint(sol.Status{Recent: true}), nil},
		"unknown to two that look further": {became, []script{none.but(forgetful, "x"), none, none}, fmt.Sprint(sol.Status{}), nil},
		"in a block":                       {became, []script{at("confirmed", 9, "null"), at("processed", 8, "null")}, want(sol.Processed, 9, ""), nil},
		"failed":                           {became, []script{failed, failed}, want(sol.Finalized, 9, `{"InstructionError":[0,{"Custom":1}]}`), nil},
		"they disagree on whether it did":  {became, []script{failed, final}, "that it failed in slot 9", isDisagreement},
		"they disagree on where":           {became, []script{final, at("finalized", 8, "null")}, "slot 8", isDisagreement},
	})
	for level, text := range map[sol.Level]string{sol.Unknown: "unknown", sol.Processed: "processed", sol.Confirmed: "confirmed", sol.Finalized: "finalized"} {
		if level.String() != text {
			t.Errorf("%d is %s", level, level)
		}
	}
}

// Sending again is success, whatever words it is refused with; what is not about the transaction refuses nothing.
func TestSend(t *testing.T) {
	none := well().but("getSignatureStatuses", value("[null]"))
	refuses := func(s script, code int, message, data string) script {
		return s.but("sendTransaction", refusal(code, message, data))
	}
	dead := refuses(none, -32002, "Transaction simulation failed: Blockhash not found", `{"err":"BlockhashNotFound","logs":[]}`)
	busy := refuses(none, -32005, "Node is behind by 42 slots", `{"numSlotsBehind":42}`)
	hash := func(err error) bool {
		return isRejected(err) && isMismatch(err) && strings.Contains(err.Error(), hash.String())
	}
	unsaid := func(err error) bool { return isRejected(err) && !isMismatch(err) }
	judge(t, map[string]verdict{
		"taken":                         {sends, []script{none}, id.String(), nil},
		"known":                         {sends, []script{refuses(well(), -32002, "This transaction has already been processed", `{"err":"AlreadyProcessed"}`)}, id.String(), nil},
		"known, in other words":         {sends, []script{refuses(well(), -1, "so what", "null")}, id.String(), nil},
		"known, and the answer is lost": {sends, []script{well().but("sendTransaction", "")}, id.String(), nil},
		"taken by one":                  {sends, []script{dead, off, none}, id.String(), nil},
		"refused":                       {sends, []script{refuses(none, -32002, "it would fail", `{"err":{"InstructionError":[0,{"Custom":1}]}}`)}, "it would fail", unsaid},
		"under another signature":       {sends, []script{refuses(none, -32002, "This transaction has already been processed", `{"err":"AlreadyProcessed","logs":[]}`)}, "not to be paid anew", func(err error) bool { return isRejected(err) && errors.Is(err, sol.ErrProcessed) }},
		"refused, without data":         {sends, []script{refuses(none, -32002, "it would fail", "null")}, "it would fail", unsaid},
		"too large":                     {sends, []script{refuses(none, -32602, "base64 encoded too large", "null")}, "too large", unsaid},
		"badly signed":                  {sends, []script{refuses(none, -32003, "Transaction signature verification failure", "null")}, "verification", unsaid},
		"too few signatures":            {sends, []script{refuses(none, -32013, "Transaction signature length mismatch", "null")}, "mismatch", unsaid},
		"of another version":            {sends, []script{refuses(none, -32015, "Transaction version (0) is not supported", "null")}, "version", unsaid},
		"with a dead hash":              {sends, []script{dead, dead}, "one that http://", hash},
		"refused by one, one is off":    {sends, []script{dead, off}, "outcome unknown, send again", isTrouble},
		"the endpoint is behind":        {sends, []script{busy}, "behind by 42 slots", isTrouble},
		"nobody knows":                  {sends, []script{dead.but("getSignatureStatuses", refusal(-32005, "busy", "null"))}, "outcome unknown, send again", isTrouble},
		"as another":                    {sends, []script{none.but("sendTransaction", result(`"`+sol.Signature{1}.String()+`"`))}, "for transaction " + id.String(), isTrouble},
	})
	if got, err := serve(t, none).Send(t.Context(), raw[:len(raw)-1]); err == nil || !isTrouble(err) {
		t.Errorf("half a transaction: %s, %v", got, err)
	}
}

// Prices are advice, and none is worse than the least that serves.
func TestPanelPriorityFee(t *testing.T) {
	at := func(prices ...uint64) script {
		var all []string
		for _, p := range prices {
			all = append(all, fmt.Sprintf(`{"slot":1,"prioritizationFee":%d}`, p))
		}
		return well().but("getRecentPrioritizationFees", result("["+strings.Join(all, ",")+"]"))
	}
	silent, unknown := at(0, 0), well().but("getRecentPrioritizationFees", refusal(-32601, "Method not found", "null"))
	fallback := fmt.Sprint(sol.FallbackPrice)
	judge(t, map[string]verdict{
		"the middle":                   {price, []script{at(50_000, 10_000, 40_000)}, "40000", nil},
		"of two the lower":             {price, []script{at(50_000), at(40_000)}, "40000", nil},
		"the liar of three":            {price, []script{at(50_000), at(1_000_000_000), at(40_000)}, "50000", nil},
		"one dear slot":                {price, []script{at(50_000, 18_446_744_073_709_551_615, 0, 0, 20_000)}, "50000", nil},
		"too little":                   {price, []script{at(3)}, fallback, nil},
		"nobody paid":                  {price, []script{silent}, fallback, nil},
		"none is told":                 {price, []script{unknown}, fallback, nil},
		"the liar is left alone":       {price, []script{silent, at(900_000)}, fallback, nil},
		"one of three tells":           {price, []script{unknown, at(900_000), silent}, fallback, nil},
		"the silent count for nothing": {price, []script{silent, at(50_000), at(70_000), at(60_000)}, "60000", nil},
		"one of two is down":           {price, []script{at(50_000), off}, "1 of 2", isTrouble},
		"what is no price":             {price, []script{at(1_000_000_001)}, "above 1000000000", isTrouble},
	})
}

// An endpoint that is refused is not believed in part: whatever is no answer to the question is the environment's error.
func TestRubbish(t *testing.T) {
	one := func(change func(map[string]any)) string {
		var a map[string]any
		d := json.NewDecoder(strings.NewReader(accountJSON(sysvar, clockData(1), 1)))
		d.UseNumber()
		if err := d.Decode(&a); err != nil {
			t.Fatal(err)
		}
		change(a)
		b, err := json.Marshal(a)
		if err != nil {
			t.Fatal(err)
		}
		return holds(string(b))
	}
	with := func(field string, v any) string { return one(func(a map[string]any) { a[field] = v }) }
	without := func(field string) string { return one(func(a map[string]any) { delete(a, field) }) }
	large := make([]byte, sol.MaxData)
	for _, c := range []struct {
		ask           fact
		method, reply string
		says          string
	}{
		{chainIs, "getGenesisHash", result("null"), "answered with null"}, {chainIs, "getGenesisHash", result("7"), "another type"},
		{chainIs, "getGenesisHash", result(`"mainnet-beta"`), "32 to 44"}, {chainIs, "getGenesisHash", result(`"` + strings.Repeat("1", 33) + `"`), "base58 of 32 bytes"},
		{valid, "isBlockhashValid", result("true"), "another type"}, {valid, "isBlockhashValid", value("null"), "without a value or its slot"},
		{valid, "isBlockhashValid", result(`{"value":true}`), "without a value or its slot"}, {valid, "isBlockhashValid", value(`"true"`), "another type"},
		{valid, "isBlockhashValid", result(`{"context":{"slot":-1},"value":true}`), "another type"},
		{latest, "getLatestBlockhash", value(`{"lastValidBlockHeight":1}`), "without a hash"}, {latest, "getLatestBlockhash", value(`{"blockhash":"` + hash.String() + `"}`), "without a hash"},
		{latest, "getLatestBlockhash", value(`{"blockhash":"` + hash.String() + `","lastValidBlockHeight":1e3}`), "another type"},
		{height, "getBlockHeight", result("-1"), "another type"}, {height, "getBlockHeight", result("1.5"), "another type"}, {height, "getBlockHeight", result("18446744073709551616"), "another type"},
		{height, "getBlockHeight", `"error":{"code":-32000,"message":"no\u001b[31m"}`, "refused with code -32000: no [31m"},
		{height, "getBlockHeight", result(strings.Repeat(" ", 65<<10) + "1"), "more than 65536 bytes"},
		{rent, "getMinimumBalanceForRentExemption", result("0"), "answered with 0"}, {rent, "getMinimumBalanceForRentExemption", result("1e6"), "another type"},
		{price, "getRecentPrioritizationFees", result(`[{"slot":1}]`), "without a price"}, {price, "getRecentPrioritizationFees", result(`[{"prioritizationFee":-1}]`), "another type"},
		{price, "getRecentPrioritizationFees", result(`{}`), "another type"}, {price, "getRecentPrioritizationFees", result(`[{"prioritizationFee":0.5}]`), "another type"},
		{became, "getSignatureStatuses", value(`[]`), "of 0 transactions for 1"}, {became, "getSignatureStatuses", value(`[null,null]`), "of 2 transactions for 1"},
		{became, "getSignatureStatuses", status("rooted", 1, "null"), "a known status"}, {became, "getSignatureStatuses", status("unknown", 1, "null"), "a known status"},
		{became, "getSignatureStatuses", value(`[{"err":null,"confirmationStatus":"finalized"}]`), "without a slot"},
		{became, "getSignatureStatuses", value(`[{"slot":1,"confirmationStatus":"finalized"}]`), "whether it failed"},
		{became, "getSignatureStatuses", value(`[{"slot":1,"err":null,"confirmationStatus":null}]`), "a known status"},
		{health, "getHealth", refusal(-32005, "Node is behind by 42 slots", `{"numSlotsBehind":42}`), "behind by 42 slots"},
		{health, "getMultipleAccounts", holds("null"), "tells no time"}, {health, "getMultipleAccounts", holds(accountJSON(sysvar, append(clockData(1), 0), 1)), "tells no time"},
		{health, "getMultipleAccounts", holds(accountJSON(sysvar, clockData(1<<63), 1)), "tells no time"},
		{health, "getMultipleAccounts", holds(accountJSON(sysvar, clockData(1<<41), 1)), "tells no time"},
		{reads, "getMultipleAccounts", holds(), "of 0 accounts for 1"}, {reads, "getMultipleAccounts", holds("null", "null"), "of 2 accounts for 1"},
		{reads, "getMultipleAccounts", value("null"), "without a value"}, {reads, "getMultipleAccounts", without("lamports"), "no lamports, owner"},
		{reads, "getMultipleAccounts", without("owner"), "no lamports, owner"}, {reads, "getMultipleAccounts", without("space"), "no lamports, owner"},
		{reads, "getMultipleAccounts", without("executable"), "no lamports, owner"}, {reads, "getMultipleAccounts", without("data"), "not base64"},
		{reads, "getMultipleAccounts", with("lamports", 1.5), "another type"}, {reads, "getMultipleAccounts", with("lamports", -1), "another type"},
		{reads, "getMultipleAccounts", with("owner", "me"), "32 to 44"}, {reads, "getMultipleAccounts", with("data", []string{"", "base58"}), "not base64"},
		{reads, "getMultipleAccounts", with("data", []string{"!", "base64"}), "not base64"}, {reads, "getMultipleAccounts", with("space", 41), "40 bytes of data for 41"},
		{reads, "getMultipleAccounts", with("space", 39), "40 bytes of data for 39"}, {reads, "getMultipleAccounts", with("space", 20_000), "40 bytes of data for 20000"},
		{reads, "getMultipleAccounts", one(func(a map[string]any) {
			a["data"], a["space"] = []string{base64.StdEncoding.EncodeToString(large), "base64"}, 10<<20+1
		}), "for 10485761"},
		{reads, "getMultipleAccounts", holds(accountJSON(sysvar, append(large, 0), 1)), "16385 bytes of data for 16385"}, // all of it, and not what was asked for
		{reads, "getMultipleAccounts", holds(accountJSON(sysvar, make([]byte, 80<<10), 1)), "answered with more than"},
	} {
		if got, err := c.ask(t.Context(), serve(t, well().but(c.method, c.reply))); err == nil || !strings.Contains(err.Error(), c.says) || !isTrouble(err) {
			t.Errorf("%s answers %.300s: %s, %v, want an error with %q", c.method, c.reply, got, err, c.says)
		}
		if _, err := c.ask(t.Context(), serve(t, well())); err != nil {
			t.Errorf("%s answers well: %v", c.method, err)
		}
	}
}

// Where an endpoint is, is all that is ever shown of it.
func TestCredentials(t *testing.T) {
	const secret = "s3cret"
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if user, password, _ := r.BasicAuth(); user != "me" || password != secret || r.URL.Path != "/"+secret {
			t.Errorf("asked as %q at %s", user, r.URL.Path)
		}
		http.Redirect(w, r, "/elsewhere", http.StatusTemporaryRedirect)
	}))
	defer server.Close()
	url := strings.Replace(server.URL, "http://", "http://me:"+secret+"@", 1) + "/" + secret
	p := dial(t, url)
	_, err := p.Height(t.Context())
	server.Close()
	_, closed := p.Height(t.Context())
	_, sent := p.Send(t.Context(), raw)
	_, bad := sol.NewPanel([]string{"ftp://me:" + secret + "@host/" + secret}, rpc.Options{})
	_, twice := sol.NewPanel([]string{url, url}, rpc.Options{})
	for _, e := range []error{err, closed, sent, bad, twice} {
		if e == nil || strings.Contains(e.Error(), secret) {
			t.Errorf("an error: %v", e)
		}
	}
	if shown := fmt.Sprintf("%v %+v %#v %v", p, p, p, p.Members()); strings.Contains(shown, secret) {
		t.Error(shown)
	}
}

func TestSignatures(t *testing.T) {
	for _, text := range []string{id.String(), sol.Signature{}.String(), sol.Signature(bytes.Repeat([]byte{255}, 64)).String()} {
		if s, err := sol.ParseSignature(text); err != nil || s.String() != text {
			t.Errorf("%s is %s, %v", text, s, err)
		}
	}
	for _, text := range []string{"", hash.String(), id.String()[2:], "0" + id.String()[1:], "1" + id.String(), strings.Repeat("z", 88), strings.Repeat("1", 65)} {
		if s, err := sol.ParseSignature(text); err == nil {
			t.Errorf("%q is %s", text, s)
		}
	}
}
