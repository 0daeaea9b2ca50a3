package cosmos

import (
	"bytes"
	"fmt"
	"math/big"
	"slices"
	"strings"

	"github.com/ostraka/ostraka/chain/wire"
)

// Decode reads a SignDoc strictly, as spec/chain-cosmos 2 says. Every error is a *Refused.
func Decode(unsigned []byte, c Context) (*Transaction, error) {
	id, err := c.Network.id()
	if err != nil || c.Own == nil {
		return nil, refuse("context", "%v, or it lacks the vault's addresses", err)
	}
	if len(unsigned) == 0 || len(unsigned) > MaxLen {
		return nil, refuse("SignDoc", "has %d bytes, want 1 to %d", len(unsigned), MaxLen)
	}
	t := &Transaction{network: c.Network, own: func(a string) bool { _, own := c.Own(a); return own }}
	r := wire.NewReader("SignDoc", unsigned)
	t.body, t.auth = bytes.Clone(r.Bytes(1, "body_bytes", MaxLen)), bytes.Clone(r.Bytes(2, "auth_info_bytes", MaxLen))
	t.id, t.request.AccountNumber = r.Text(3, "chain_id", 50), r.Uint(4, "account_number")
	if r.Err() == nil && t.id != id {
		r.Fail("chain_id", "is %q, not %q: the signature would be valid on another chain", t.id, id)
	}
	if err := r.Done(); err != nil {
		return nil, err
	}
	if err := t.readAuth(c); err != nil {
		return nil, err
	}
	if err := t.readBody(); err != nil {
		return nil, err
	}
	// display versus bytes: what we understood is all there is
	if !bytes.Equal(t.request.encodeBody(t.from), t.body) || !bytes.Equal(t.request.encodeAuth(), t.auth) || !bytes.Equal(t.Unsigned(), unsigned) {
		return nil, refuse("SignDoc", "is not equal to its own encoding")
	}
	return t, nil
}

// readAuth reads AuthInfo: who signs, how, and the fee.
func (t *Transaction) readAuth(c Context) error {
	r := wire.NewReader("AuthInfo", t.auth)
	infos := 0
	r.Each(1, "signer_infos", 1, 512, func(b []byte) {
		infos++
		r.Adopt(t.readSigner(b))
	})
	if r.Err() == nil && infos == 0 {
		r.Fail("signer_infos", "there is none")
	}
	if fee := r.Bytes(2, "fee", 512); r.Err() == nil {
		r.Adopt(t.readFee(fee))
	}
	r.Refuse(3, "tip", "is not supported: another would take coins for it")
	if err := r.Done(); err != nil {
		return err
	}
	from, err := t.network.Address(t.request.Key)
	if err != nil {
		return refuse("SignerInfo.public_key", "%v", err)
	}
	path, own := c.Own(from)
	if !own {
		return refuse("SignerInfo.public_key", "is of %s, which is none of this vault's addresses", from)
	}
	t.from, t.path = from, path
	return nil
}

func (t *Transaction) readSigner(b []byte) error {
	r := wire.NewReader("SignerInfo", b)
	key := wire.NewReader("SignerInfo.public_key", r.Bytes(1, "public_key", 128))
	if url := key.Text(1, "type_url", 64); r.Err() == nil && url != typeKey {
		r.Fail("public_key", "is of type %q, not %s", url, typeKey)
	}
	point := wire.NewReader("PubKey", key.Bytes(2, "value", 64))
	t.request.Key = bytes.Clone(point.Bytes(1, "key", 33))
	r.Adopt(key.Done())
	r.Adopt(point.Done())
	mode := wire.NewReader("ModeInfo", r.Bytes(2, "mode_info", 64))
	single := wire.NewReader("ModeInfo.single", mode.Bytes(1, "single", 16))
	mode.Refuse(2, "multi", "several keys are not supported")
	if m := single.Uint(1, "mode"); r.Err() == nil && mode.Err() == nil && m != direct {
		r.Fail("mode_info", "is %d; SIGN_MODE_DIRECT (1) alone is supported", m)
	}
	r.Adopt(mode.Done())
	r.Adopt(single.Done())
	t.request.Sequence = r.Uint(3, "sequence")
	return r.Done()
}

func (t *Transaction) readFee(b []byte) error {
	r := wire.NewReader("Fee", b)
	r.Each(1, "amount", 1, 256, func(b []byte) {
		c, err := readCoin("Fee.amount", b)
		r.Adopt(err)
		t.request.Fee = &c
	})
	t.request.Gas = r.Uint(2, "gas_limit")
	if r.Err() == nil && t.request.Gas == 0 {
		r.Fail("gas_limit", "is 0")
	}
	r.Refuse(3, "payer", "is not supported: the signer pays")
	r.Refuse(4, "granter", "is not supported: the signer pays")
	return r.Done()
}

// readBody reads TxBody.
func (t *Transaction) readBody() error {
	r := wire.NewReader("TxBody", t.body)
	r.Each(1, "messages", MaxMessages, 4096, func(b []byte) {
		s, err := t.readMessage(len(t.request.Sends)+1, b)
		r.Adopt(err)
		t.request.Sends = append(t.request.Sends, s)
	})
	if r.Err() == nil && len(t.request.Sends) == 0 {
		r.Fail("messages", "there is none")
	}
	t.request.Memo = r.Text(2, "memo", MaxMemo)
	if r.Err() == nil && !printable(t.request.Memo) { // a line break or a direction mark would write lines of its own
		r.Fail("memo", "%q holds what cannot be printed in one line", t.request.Memo)
	}
	t.request.TimeoutHeight = r.Uint(3, "timeout_height")
	r.Refuse(4, "unordered", "is not supported: nothing would keep it from landing beside another")
	r.Refuse(5, "timeout_timestamp", "is not supported")
	r.Refuse(1023, "extension_options", "are not supported")
	r.Refuse(2047, "non_critical_extension_options", "are not supported: nobody would be shown them")
	if err := r.Done(); err != nil {
		return err
	}
	return t.checkSums()
}

// readMessage reads one of the transaction's messages.
func (t *Transaction) readMessage(n int, b []byte) (s Send, err error) {
	name := fmt.Sprintf("message %d", n)
	r := wire.NewReader(name, b)
	url := r.Text(1, "type_url", 128)
	value := r.Bytes(2, "value", 4096)
	switch {
	case r.Err() != nil:
	case url == typeSend:
	case known[url] != "":
		r.Fail("type_url", "%s (%s) is not supported", url, known[url])
	default:
		r.Fail("type_url", "%q is unknown", url)
	}
	if err := r.Done(); err != nil {
		return s, err
	}
	r = wire.NewReader(name, value)
	from := r.Text(1, "from_address", 100)
	if s.To = r.Text(2, "to_address", 100); r.Err() == nil {
		if from != t.from {
			r.Fail("from_address", "is %q, not the signer %s", from, t.from)
		}
		if err := t.network.CheckAddress(s.To); err != nil {
			r.Fail("to_address", "%v", err)
		}
	}
	r.Each(3, "amount", MaxCoins, 256, func(b []byte) {
		c, err := readCoin(name+".amount", b)
		r.Adopt(err)
		if k := len(s.Coins); err == nil && k > 0 && s.Coins[k-1].Denom >= c.Denom {
			r.Fail("amount", "%s stands after %s: denominations ascend, none stands twice", c.Denom, s.Coins[k-1].Denom)
		}
		s.Coins = append(s.Coins, c)
	})
	if err := r.Done(); err != nil || len(s.Coins) > 0 {
		return s, err
	}
	return s, refuse(name+".amount", "there is none")
}

func readCoin(name string, b []byte) (Coin, error) {
	r := wire.NewReader(name, b)
	c := Coin{r.Text(1, "denom", 128), new(big.Int)}
	text := r.Text(2, "amount", 78)
	switch {
	case r.Err() != nil:
	case !denom.MatchString(c.Denom):
		r.Fail("denom", "%q is none", c.Denom)
	case text == "" || strings.Trim(text, "0123456789") != "" || text[0] == '0': // two texts of one number, signs, exponents
		r.Fail("amount", "%q is no whole number above 0 in its shortest form", text)
	default:
		if c.Amount.SetString(text, 10); c.Amount.BitLen() > 256 {
			r.Fail("amount", "is above 2²⁵⁶−1")
		}
	}
	return c, r.Done()
}

// checkSums refuses sums that the chain's integers do not hold: what is shown together must be what is meant.
func (t *Transaction) checkSums() error {
	sums := map[string]*big.Int{}
	var all []Coin
	for _, s := range t.request.Sends {
		all = slices.Concat(all, s.Coins)
	}
	if t.request.Fee != nil {
		all = append(all, *t.request.Fee)
	}
	for _, c := range all {
		if sums[c.Denom] == nil {
			sums[c.Denom] = new(big.Int)
		}
		if sums[c.Denom].Add(sums[c.Denom], c.Amount).BitLen() > 256 {
			return refuse("SignDoc", "amounts and fee of %s together exceed 2²⁵⁶−1", c.Denom)
		}
	}
	return nil
}
