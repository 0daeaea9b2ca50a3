package sol

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"

	"github.com/ostraka/ostraka/chain/solana"
	"github.com/ostraka/ostraka/node/rpc/endpoint"
)

const (
	// MaxAccounts is how many accounts are asked for at once.
	MaxAccounts = 100
	// MaxData is up to how many bytes an account's data are read. Lookup tables have 8,248 at most; a mint that is larger, for all that it tells of itself, is not read as one.
	MaxData = 16 << 10

	maxSize = 10 << 20 // of any account's data
)

// An Account is what an address holds. That of an address with nothing is owned by System, and has no data.
type Account struct {
	Owner      solana.Key // the program
	Executable bool       // it is a program itself
	Size       uint64     // of all its data, in bytes
	Data       []byte     // all of it, or nothing: what is larger than MaxData is not read
	Lamports   uint64
}

// Read is what decoding needs to know of the account. One whose data were not read is of another kind. An error says that the data contradict themselves.
func (a Account) Read() (solana.Account, error) {
	if uint64(len(a.Data)) != a.Size {
		return solana.Account{Kind: solana.Other, Program: a.Owner}, nil
	}
	return solana.ReadAccount(a.Owner, a.Data, a.Executable)
}

// lookupTables is the program that owns lookup tables.
var lookupTables = key("AddressLookupTab1e1111111111111111111111111")

// Table is the addresses of a lookup table.
func (a Account) Table() ([]solana.Key, error) {
	if a.Owner != lookupTables {
		return nil, fmt.Errorf("lookup table: the account is owned by %s, and is none", a.Owner)
	}
	return solana.ReadTable(a.Data)
}

// settled leaves of an account's data what decoding takes from them, and what all endpoints can agree on, which are some slots apart: no balance of any kind, which
// may change with every block, and nothing where the owner says all. The numbers are left at zero.
func (a Account) settled() Account {
	read, err := a.Read()
	switch {
	case err != nil: // as it is: it says nothing
		return a
	case read.Kind == solana.Other && a.Owner != lookupTables:
		a.Data = nil
		return a
	}
	a.Data = bytes.Clone(a.Data)
	switch read.Kind {
	case solana.Mint:
		clear(a.Data[36:44]) // supply
		a.eachExtension(func(kind uint16, value []byte) {
			if kind == extFeeConfig && len(value) >= 72 {
				clear(value[64:72]) // fees brought back to the mint
			}
		})
	case solana.TokenAccount:
		clear(a.Data[64:72]) // amount
		a.eachExtension(func(kind uint16, value []byte) {
			if kind == extFeeAmount {
				clear(value) // fees that wait in the account
			}
		})
	}
	return a
}

// Extensions of Token-2022 that count.
const (
	extFeeConfig = 1 // of a mint
	extFeeAmount = 2 // of a token account
	extensionsAt = 166
)

// eachExtension goes through extensions that Read has read.
func (a Account) eachExtension(do func(kind uint16, value []byte)) {
	for b := a.Data[min(extensionsAt, len(a.Data)):]; len(b) >= 4; {
		kind, n := binary.LittleEndian.Uint16(b), int(binary.LittleEndian.Uint16(b[2:]))
		if kind == 0 || n > len(b)-4 {
			return
		}
		do(kind, b[4:4+n])
		b = b[4+n:]
	}
}

// words say all but the balance, every byte of the data by its SHA-256.
func (a Account) words() string {
	if a.Owner == solana.System && a.Size == 0 && !a.Executable {
		return "that it is a wallet, or not there"
	}
	s := fmt.Sprintf("that %s owns it", a.Owner)
	if a.Executable {
		s += ", a program"
	}
	if uint64(len(a.Data)) == a.Size { // else whatever it holds, it is of another kind
		s += fmt.Sprintf(", with %d bytes of SHA-256 %x", a.Size, sha256.Sum256(a.Data))
	}
	return s
}

// accountJSON is an account as endpoints write it.
type accountJSON struct {
	Lamports   *uint64   `json:"lamports"`
	Owner      *keyText  `json:"owner"`
	Data       [2]string `json:"data"`
	Executable *bool     `json:"executable"`
	Space      *uint64   `json:"space"`
}

// Accounts are what addresses hold, 1 to MaxAccounts, all of one slot.
func (c *Client) Accounts(ctx context.Context, keys []solana.Key) ([]Account, error) {
	all, _, err := c.AccountsAt(ctx, keys)
	return all, err
}

// AccountsAt is Accounts, and the slot: the newest that is final.
func (c *Client) AccountsAt(ctx context.Context, keys []solana.Key) (out []Account, slot uint64, err error) {
	const method = "getMultipleAccounts"
	if len(keys) == 0 || len(keys) > MaxAccounts {
		return nil, 0, fmt.Errorf("read accounts: %d of them, want 1 to %d", len(keys), MaxAccounts)
	}
	var ask []string
	for _, k := range keys {
		ask = append(ask, k.String())
	}
	limit := int64(len(keys))*(MaxData*4/3+1000) + small
	r, slot, err := inContext[[]*accountJSON](ctx, c, limit, method, ask, config{finalized, "base64", &slice{0, MaxData}})
	if err != nil {
		return nil, 0, err
	}
	if len(r) != len(keys) {
		return nil, 0, c.Broken(method, "answered of %d accounts for %d", len(r), len(keys))
	}
	out = make([]Account, len(keys))
	for i, a := range r {
		if a == nil {
			continue
		}
		if out[i], err = a.read(); err != nil {
			return nil, 0, c.Broken(method, "answered with %s of account %s", err, keys[i])
		}
	}
	return out, slot, nil
}

func (a *accountJSON) read() (out Account, err error) {
	if a.Lamports == nil || a.Owner == nil || a.Executable == nil || a.Space == nil {
		return out, errors.New("no lamports, owner, size or word on whether it is a program")
	}
	out = Account{Owner: solana.Key(*a.Owner), Executable: *a.Executable, Size: *a.Space, Lamports: *a.Lamports}
	data, err := base64.StdEncoding.DecodeString(a.Data[0])
	switch {
	case err != nil || a.Data[1] != "base64":
		return out, errors.New("data that are not base64")
	case out.Size > maxSize || uint64(len(data)) != min(out.Size, MaxData):
		return out, fmt.Errorf("%d bytes of data for %d", len(data), out.Size)
	}
	if out.Size <= MaxData {
		out.Data = data
	}
	return out, nil
}

// readClock reads the seconds since 1970 of the account that holds the chain's time; false where they are none.
func readClock(data []byte) (seconds int64, ok bool) {
	if len(data) != 40 {
		return 0, false
	}
	const last = 1 << 40 // a time beyond it is none
	seconds = int64(binary.LittleEndian.Uint64(data[32:]))
	return seconds, seconds >= 0 && seconds <= last
}

// Accounts are what addresses hold, 1 to MaxAccounts: what decoding takes of it, agreed on by all endpoints byte for byte. Balances change with
// every block, and endpoints are some blocks apart, so of those nothing is agreed: Lamports is the least that any endpoint says; amounts, supplies and fees
// that wait, in the data, are zero; and what is no wallet, nonce account, mint, token account or lookup table has no data. Who wants a balance asks one endpoint (Any).
func (p *Panel) Accounts(ctx context.Context, keys []solana.Key) ([]Account, error) {
	all, err := endpoint.Ask(ctx, &p.Panel, "accounts", func(ctx context.Context, m *Client) ([]Account, error) { return m.Accounts(ctx, keys) })
	if err != nil {
		return nil, err
	}
	out := make([]Account, len(keys))
	for i, k := range keys {
		one := make([]endpoint.Said[*Client, Account], len(all))
		least := all[0].Value[i].Lamports
		for j, x := range all {
			one[j] = endpoint.Said[*Client, Account]{By: x.By, Value: x.Value[i].settled()}
			least = min(least, x.Value[i].Lamports)
		}
		if out[i], err = endpoint.Agreed(one, "account "+k.String(), Account.words); err != nil {
			return nil, err
		}
		out[i].Lamports = least
	}
	return out, nil
}

// Readings is what decoding needs (solana.Needs) of what all endpoints agree on, and whether a blockhash can be used; none is asked about where it is zero, as with
// a durable nonce, whose value is read with its account. What contradicts itself, and a table that is none, is left out, so that decoding says that it was not read.
func (p *Panel) Readings(ctx context.Context, needs []solana.Read, blockhash solana.Key) (r solana.Readings, err error) {
	r = solana.Readings{Accounts: map[solana.Key]solana.Account{}, Tables: map[solana.Key][]solana.Key{}, Recents: map[solana.Key]bool{}}
	if blockhash != (solana.Key{}) {
		if r.Recents[blockhash], err = p.BlockhashValid(ctx, blockhash); err != nil {
			return r, err
		}
	}
	if len(needs) == 0 {
		return r, nil
	}
	var keys []solana.Key
	for _, n := range needs {
		keys = append(keys, n.Address)
	}
	all, err := p.Accounts(ctx, keys)
	if err != nil {
		return r, err
	}
	for i, n := range needs {
		if n.Table {
			if t, err := all[i].Table(); err == nil {
				r.Tables[n.Address] = t
			}
			continue
		}
		if a, err := all[i].Read(); err == nil {
			r.Accounts[n.Address] = a
		}
	}
	return r, nil
}

// Holdings are how much lies in accounts, MaxAccounts of them asked for at once, at least, as more than half of the endpoints say, and what an account without data must hold, agreed on: what changes with every block is not compared.
func (p *Panel) Holdings(ctx context.Context, keys []solana.Key) (h solana.Holdings, err error) {
	h.Of = map[solana.Key]solana.Holding{}
	if h.Least, err = p.MinimumRent(ctx, 0); err != nil {
		return h, err
	}
	for some := range slices.Chunk(keys, MaxAccounts) {
		if err := p.hold(ctx, h, some); err != nil {
			return h, err
		}
	}
	return h, nil
}

// hold reads some of them.
func (p *Panel) hold(ctx context.Context, h solana.Holdings, keys []solana.Key) error {
	all, err := endpoint.Ask(ctx, &p.Panel, "how much lies in accounts", func(ctx context.Context, m *Client) ([]Account, error) { return m.Accounts(ctx, keys) })
	if err != nil {
		return err
	}
	for i, k := range keys {
		for j, x := range all {
			a := x.Value[i]
			one := solana.Holding{Lamports: a.Lamports, Size: a.Size, Amount: a.amount()}
			if old := h.Of[k]; j > 0 {
				one = solana.Holding{Lamports: min(old.Lamports, one.Lamports), Size: min(old.Size, one.Size), Amount: min(old.Amount, one.Amount)}
			}
			h.Of[k] = one
		}
	}
	return nil
}

// amount is how many tokens a token account holds, 0 of what is none.
func (a Account) amount() uint64 {
	if read, err := a.Read(); err != nil || read.Kind != solana.TokenAccount {
		return 0
	}
	return binary.LittleEndian.Uint64(a.Data[64:])
}

// Amounts are how many tokens accounts hold at least, as more than half of the endpoints say, 0 of what is no token account: what changes with every block is not compared.
func (p *Panel) Amounts(ctx context.Context, keys []solana.Key) ([]uint64, error) {
	all, err := endpoint.Ask(ctx, &p.Panel, "amounts", func(ctx context.Context, m *Client) ([]Account, error) { return m.Accounts(ctx, keys) })
	if err != nil {
		return nil, err
	}
	out := make([]uint64, len(keys))
	for i := range keys {
		for j, x := range all {
			amount := x.Value[i].amount()
			if out[i] = min(out[i], amount); j == 0 {
				out[i] = amount
			}
		}
	}
	return out, nil
}
