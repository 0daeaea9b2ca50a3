package frost

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"os"
	"testing"

	"github.com/ostraka/ostraka/crypto/group"
	"github.com/ostraka/ostraka/crypto/group/secp256k1"
	"github.com/ostraka/ostraka/crypto/hd"
	"github.com/ostraka/ostraka/crypto/share"
	"github.com/ostraka/ostraka/mpc/session"
)

func load(t *testing.T, name string, v any) {
	t.Helper()
	raw, err := os.ReadFile(name)
	if err == nil {
		err = json.Unmarshal(raw, v)
	}
	if err != nil {
		t.Fatal(err)
	}
}

func unhex(t *testing.T, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(s)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func scalar(t *testing.T, g group.Group, s string) group.Scalar {
	t.Helper()
	k, err := g.DecodeScalar(unhex(t, s))
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func point(t *testing.T, g group.Group, s string) group.Point {
	t.Helper()
	p, err := g.DecodePoint(unhex(t, s))
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// genericSecp256k1 is FROST(secp256k1, SHA-256) of RFC 9591 section 6.5, whose signatures no chain takes: it holds the
// parts that our suite shares with it to the RFC's numbers.
func genericSecp256k1() *suite {
	const context = "FROST-secp256k1-SHA256-v1"
	s := newSecp256k1(context)
	s.challenge = func(r, q group.Point, m []byte) group.Scalar { return s.toScalar("chal", r.Bytes(), q.Bytes(), m) }
	return s
}

type signing struct {
	Config struct{ Name string }
	Inputs struct {
		ParticipantList             []uint64 `json:"participant_list"`
		GroupSecretKey              string   `json:"group_secret_key"`
		GroupPublicKey              string   `json:"group_public_key"`
		VerifyingKeyKey             string   `json:"verifying_key_key"`
		Message                     string
		SharePolynomialCoefficients []string `json:"share_polynomial_coefficients"`
		ParticipantShares           []struct {
			Identifier       uint64
			ParticipantShare string `json:"participant_share"`
		} `json:"participant_shares"`
	}
	RoundOneOutputs struct {
		Outputs []struct {
			Identifier             uint64
			HidingNonceRandomness  string `json:"hiding_nonce_randomness"`
			BindingNonceRandomness string `json:"binding_nonce_randomness"`
			HidingNonce            string `json:"hiding_nonce"`
			BindingNonce           string `json:"binding_nonce"`
			HidingNonceCommitment  string `json:"hiding_nonce_commitment"`
			BindingNonceCommitment string `json:"binding_nonce_commitment"`
			BindingFactorInput     string `json:"binding_factor_input"`
			BindingFactor          string `json:"binding_factor"`
		}
	} `json:"round_one_outputs"`
	RoundTwoOutputs struct {
		Outputs []struct {
			Identifier uint64
			SigShare   string `json:"sig_share"`
		}
	} `json:"round_two_outputs"`
	FinalOutput struct{ Sig string } `json:"final_output"`
}

// RFC 9591 appendix E and ZcashFoundation's own, each step of each: shares, nonces from their randomness, commitments, binding
// factors with their inputs, shares of the signature, the signature.
func TestSigningVectors(t *testing.T) {
	for file, s := range map[string]*suite{
		"frost-ed25519-sha512.json": newEd25519(), "zcash-ed25519-vectors.json": newEd25519(),
		"frost-secp256k1-sha256.json": genericSecp256k1(), "zcash-secp256k1-vectors.json": genericSecp256k1(),
		"zcash-secp256k1-tr-vectors.json": newBIP340(),
	} {
		t.Run(file, func(t *testing.T) {
			var v signing
			load(t, "testdata/"+file, &v)
			tap := Taproot{}
			if s.xOnly {
				tap = NoTaproot()
			}
			follow(t, s, &v, tap)
		})
	}
}

func follow(t *testing.T, s *suite, v *signing, tap Taproot) {
	g := s.group
	x, want := g.BaseMul(scalar(t, g, v.Inputs.GroupSecretKey)), v.Inputs.GroupPublicKey+v.Inputs.VerifyingKeyKey
	if hex.EncodeToString(x.Bytes()) != want {
		t.Fatalf("key %x", x.Bytes())
	}
	key, err := s.key(x, nil, tap)
	if err != nil {
		t.Fatal(err)
	}
	job := &task{suite: s, key: key, message: unhex(t, v.Inputs.Message)}
	shares := map[uint64]group.Scalar{}
	a0, a1 := scalar(t, g, v.Inputs.GroupSecretKey), scalar(t, g, v.Inputs.SharePolynomialCoefficients[0])
	for _, p := range v.Inputs.ParticipantShares {
		shares[p.Identifier] = scalar(t, g, p.ParticipantShare)
		if !shares[p.Identifier].Equal(a0.Add(a1.Mul(g.Scalar(p.Identifier)))) {
			t.Errorf("share %d is not the polynomial's value", p.Identifier)
		}
	}
	var list []commitment
	var drawn []*nonces
	for i, o := range v.RoundOneOutputs.Outputs {
		if o.Identifier != v.Inputs.ParticipantList[i] {
			t.Fatal("order")
		}
		job.signers = append(job.signers, session.Party{Index: share.Index(o.Identifier)})
		random := bytes.NewReader(unhex(t, o.HidingNonceRandomness+o.BindingNonceRandomness))
		n, c, err := s.drawNonces(random, shares[o.Identifier])
		if err != nil {
			t.Fatal(err)
		}
		if hex.EncodeToString(n.d.Bytes())+hex.EncodeToString(n.e.Bytes()) != o.HidingNonce+o.BindingNonce {
			t.Errorf("nonces of %d are others", o.Identifier)
		}
		if hex.EncodeToString(c.encode()) != o.HidingNonceCommitment+o.BindingNonceCommitment {
			t.Errorf("commitment of %d is another", o.Identifier)
		}
		list, drawn = append(list, c), append(drawn, n)
	}
	b, err := job.bind(list)
	if err != nil {
		t.Fatal(err)
	}
	var parts []group.Scalar
	for i, o := range v.RoundTwoOutputs.Outputs {
		one := v.RoundOneOutputs.Outputs[i]
		if in := append(job.factorInput(list), job.identifier(i)...); hex.EncodeToString(in) != one.BindingFactorInput {
			t.Errorf("input of factor %d is %x", o.Identifier, in)
		}
		if hex.EncodeToString(b.rho[i].Bytes()) != one.BindingFactor {
			t.Errorf("factor %d is %x", o.Identifier, b.rho[i].Bytes())
		}
		z, err := job.respond(drawn[i], b, i, shares[o.Identifier])
		if err != nil {
			t.Fatal(err)
		}
		if hex.EncodeToString(z.Bytes()) != o.SigShare {
			t.Errorf("share of %d is %x, want %s", o.Identifier, z.Bytes(), o.SigShare)
		}
		if !job.holds(b, i, z, g.BaseMul(shares[o.Identifier])) || job.holds(b, i, z.Add(g.Scalar(1)), g.BaseMul(shares[o.Identifier])) {
			t.Errorf("share of %d is not judged right", o.Identifier)
		}
		parts = append(parts, z)
	}
	sig := job.aggregate(b, parts)
	if s.verify == nil { // 65 bytes there: R with its prefix
		if got := hex.EncodeToString(b.r.Bytes()) + hex.EncodeToString(sig[32:]); got[2:66] != v.FinalOutput.Sig[2:66] || got[66:] != v.FinalOutput.Sig[66:] {
			t.Errorf("signature %s", got)
		}
		return
	}
	if hex.EncodeToString(sig[:]) != v.FinalOutput.Sig {
		t.Errorf("signature %x, want %s", sig, v.FinalOutput.Sig)
	}
	if err := s.verify(key.Bytes[:], job.message, sig[:]); err != nil {
		t.Error(err)
	}
}

type dkg map[string]json.RawMessage

type dealt struct {
	Identifier     uint64
	SigningKey     string `json:"signing_key"`
	Coefficient    string
	VSSCommitments []string          `json:"vss_commitments"`
	SigningShares  map[string]string `json:"signing_shares"`
	VerifyingShare string            `json:"verifying_share"`
	SigningShare   string            `json:"signing_share"`
}

// ZcashFoundation's key generation, as far as it is Shamir's and Feldman's arithmetic: that of crypto/share. Its Taproot crate tweaks the
// shares at the end, as BIP 86 would one key.
func TestFeldmanVectors(t *testing.T) {
	for name, s := range map[string]*suite{"ed25519": newEd25519(), "secp256k1": genericSecp256k1(), "secp256k1-tr": newBIP340()} {
		t.Run(name, func(t *testing.T) {
			var v struct{ Inputs dkg }
			load(t, "testdata/zcash-"+name+"-vectors_dkg.json", &v)
			var all []dealt
			for i := 1; i <= 3; i++ {
				var d dealt
				if err := json.Unmarshal(v.Inputs[fmt.Sprint(i)], &d); err != nil {
					t.Fatal(err)
				}
				all = append(all, d)
			}
			var want string
			if err := json.Unmarshal(v.Inputs["verifying_key"], &want); err != nil {
				t.Fatal(err)
			}
			feldman(t, s, all, want)
		})
	}
}

func feldman(t *testing.T, s *suite, all []dealt, want string) {
	g := s.group
	var sum share.Commitment
	for _, d := range all {
		raw := [][]byte{unhex(t, d.VSSCommitments[0]), unhex(t, d.VSSCommitments[1])}
		c, err := share.DecodeCommitment(g, raw, 2)
		if err != nil {
			t.Fatal(err)
		}
		if !g.BaseMul(scalar(t, g, d.SigningKey)).Equal(c[0]) || !g.BaseMul(scalar(t, g, d.Coefficient)).Equal(c[1]) {
			t.Errorf("dealer %d commits to another polynomial", d.Identifier)
		}
		if sum == nil {
			sum = c
		} else {
			sum = sum.Add(c)
		}
	}
	tweak, negate, key := g.Scalar(0), false, sum[0]
	if s.xOnly { // their post_dkg
		out, err := hd.TapTweak(sum[0].(*secp256k1.Point), nil)
		if err != nil {
			t.Fatal(err)
		}
		tweak, negate, key = out.Tweak, out.InternalOdd, out.Point
	}
	if hex.EncodeToString(key.Bytes()) != want {
		t.Errorf("key %x, want %s", key.Bytes(), want)
	}
	for _, me := range all {
		at := share.Index(me.Identifier)
		total := scalar(t, g, me.SigningKey).Add(scalar(t, g, me.Coefficient).Mul(g.Scalar(me.Identifier)))
		for _, d := range all {
			if d.Identifier == me.Identifier {
				continue
			}
			// signing_shares of a party are those that it received, by dealer
			got := scalar(t, g, me.SigningShares[fmt.Sprint(d.Identifier)])
			c, _ := share.DecodeCommitment(g, [][]byte{unhex(t, d.VSSCommitments[0]), unhex(t, d.VSSCommitments[1])}, 2)
			if err := c.Check(at, got); err != nil {
				t.Errorf("share of %d for %d: %v", d.Identifier, me.Identifier, err)
			}
			total = total.Add(got)
		}
		if !g.BaseMul(total).Equal(sum.Eval(at)) {
			t.Errorf("public share of %d is not on the polynomial", me.Identifier)
		}
		if negate {
			total = total.Neg()
		}
		total = total.Add(tweak)
		if hex.EncodeToString(total.Bytes()) != me.SigningShare || hex.EncodeToString(g.BaseMul(total).Bytes()) != me.VerifyingShare {
			t.Errorf("share of %d is %x", me.Identifier, total.Bytes())
		}
	}
}

// The sums of ZcashFoundation's repair of shares; the elements that its decoders refuse and take.
func TestElementVectors(t *testing.T) {
	for name, s := range map[string]*suite{"ed25519": newEd25519(), "secp256k1": genericSecp256k1(), "secp256k1-tr": newBIP340()} {
		var bad struct {
			Elements struct {
				Invalid string `json:"invalid_element"`
			}
		}
		load(t, "testdata/zcash-"+name+"-elements.json", &bad)
		good := s.group.Generator().Bytes()
		invalid := unhex(t, bad.Elements.Invalid)
		for _, body := range [][]byte{append(invalid, good...), append(bytes.Clone(good), invalid...)} {
			if _, err := decodeCommitment(s.group, body); err == nil {
				t.Errorf("%s: %x passes", name, body)
			}
		}
		var samples struct{ Identifier, Element1, Element2, Scalar1 string }
		load(t, "testdata/zcash-"+name+"-samples.json", &samples)
		if c, err := decodeCommitment(s.group, unhex(t, samples.Element1+samples.Element2)); err != nil || !c.d.Equal(s.group.Generator()) || !c.e.Equal(c.d.Add(c.d)) {
			t.Errorf("%s: %v", name, err)
		}
		if _, err := decodeShare(s.group, unhex(t, samples.Scalar1)); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if id := (&task{suite: s, signers: []session.Party{{Index: 42}}}).identifier(0); hex.EncodeToString(id) != samples.Identifier {
			t.Errorf("%s: identifier 42 is %x", name, id)
		}
		repairSums(t, name, s.group)
	}
}

func repairSums(t *testing.T, name string, g group.Group) {
	var v struct {
		Scalars map[string]string `json:"scalar_generation"`
		Sigmas  map[string]string `json:"sigma_generation"`
	}
	load(t, "testdata/zcash-"+name+"-repair-share.json", &v)
	for _, c := range []struct {
		from  map[string]string
		name  string
		terms int
	}{{v.Scalars, "random_scalar", 3}, {v.Sigmas, "sigma", 4}} {
		sum := g.Scalar(0)
		for i := 1; i <= c.terms; i++ {
			sum = sum.Add(scalar(t, g, c.from[fmt.Sprintf("%s_%d", c.name, i)]))
		}
		if hex.EncodeToString(sum.Bytes()) != c.from[c.name+"_sum"] {
			t.Errorf("%s: sum of %s is %x", name, c.name, sum.Bytes())
		}
	}
}

// expand_message_xmd as RFC 9380 section 5.3.1 writes it, step by step; the RFC 9591 vectors hold it from the other side.
func TestExpand(t *testing.T) {
	const dst = "QUUX-V01-CS02-with-expander-SHA256-128"
	for _, m := range []string{"", "abc", "abcdef0123456789"} {
		prime := append([]byte(dst), byte(len(dst)))
		b0 := sha256.Sum256(bytes.Join([][]byte{make([]byte, 64), []byte(m), {0, 48, 0}, prime}, nil))
		b1 := sha256.Sum256(bytes.Join([][]byte{b0[:], {1}, prime}, nil))
		var x [32]byte
		for i := range x {
			x[i] = b0[i] ^ b1[i]
		}
		b2 := sha256.Sum256(bytes.Join([][]byte{x[:], {2}, prime}, nil))
		if got := expand(dst, []byte(m)); !bytes.Equal(got[:], append(b1[:], b2[:16]...)) {
			t.Errorf("%q: %x", m, got)
		}
	}
}

// The verifier that Ed25519 signatures must pass, on Wycheproof's cases.
func TestWycheproofEd25519(t *testing.T) {
	var w struct {
		NumberOfTests int
		TestGroups    []struct {
			PublicKey struct{ PK string }
			Tests     []struct {
				TcID                      int
				Comment, Msg, Sig, Result string
			}
		}
	}
	load(t, "../../crypto/group/edwards25519/testdata/wycheproof.json", &w)
	s, ran := newEd25519(), 0
	for _, g := range w.TestGroups {
		for _, c := range g.Tests {
			ran++
			err := s.verify(unhex(t, g.PublicKey.PK), unhex(t, c.Msg), unhex(t, c.Sig))
			if (err == nil) != (c.Result == "valid") {
				t.Errorf("%d (%s): want %s, got %v", c.TcID, c.Comment, c.Result, err)
			}
		}
	}
	if ran != w.NumberOfTests || ran < 100 {
		t.Errorf("ran %d cases of %d", ran, w.NumberOfTests)
	}
}
