package malice

import (
	"bytes"
	"errors"
	"testing"

	"github.com/ostraka/ostraka/crypto/group"
	"github.com/ostraka/ostraka/crypto/group/ristretto255"
	"github.com/ostraka/ostraka/crypto/group/secp256k1"
	"github.com/ostraka/ostraka/mpc/engine"
)

func message(g group.Group) Message {
	n := g.PointSize()
	return Message{Name: "toy", Kind: 0x7f, Size: 2*n + 32 + 16 + 32, Fields: []Field{
		{Name: "points", Type: Point, At: 0, Size: n, Count: 2, Want: Burn},
		{Name: "scalar", Type: Scalar, At: 2 * n, Size: 32, Want: Unattributed},
		{Name: "bits", Type: Bits, At: 2*n + 32, Size: 8, Count: 2, Want: Burn},
		{Name: "hash", Type: Hash, At: 2*n + 48, Size: 32, Want: Blame},
	}}
}

func body(g group.Group, k uint64) []byte {
	s := g.Scalar(k + 1000)
	p, q := g.BaseMul(s), g.BaseMul(s.Add(g.Scalar(1)))
	b := append(append(p.Bytes(), q.Bytes()...), s.Bytes()...)
	for i := range 48 {
		b = append(b, byte(int(k)+i))
	}
	return b
}

// Every mutation changes the body, and malformed values are exactly those that do not decode.
func TestMutationsChangeBodiesAndAreLabelledRightly(t *testing.T) {
	for _, g := range []group.Group{secp256k1.Group{}, ristretto255.Group{}} {
		m := message(g)
		if err := m.Check(body(g, 1)); err != nil {
			t.Fatal(err)
		}
		for _, x := range append(m.Mutations(g, All), m.Lengths()...) {
			own := body(g, 1)
			got := x.Edit(bytes.Clone(own), Seen{Other: body(g, 2), Earlier: body(g, 3)})
			if bytes.Equal(got, own) {
				t.Errorf("%s: %s changed nothing", g.Name(), x)
			}
			if len(got) != m.Size {
				continue
			}
			decodes := true
			for i := range 2 {
				_, err := g.DecodePoint(got[i*g.PointSize() : (i+1)*g.PointSize()])
				decodes = decodes && err == nil
			}
			_, err := g.DecodeScalar(got[2*g.PointSize():][:32])
			decodes = decodes && err == nil
			if x.Field != "hash" && decodes == (x.Want == Blame) {
				t.Errorf("%s: %s wants %s; the body decodes: %v", g.Name(), x, x.Want, decodes)
			}
		}
	}
}

func TestDepths(t *testing.T) {
	g := secp256k1.Group{}
	m := message(g)
	one, each, all := m.Mutations(g, One), m.Mutations(g, Each), m.Mutations(g, All)
	if len(one) != len(m.Fields) || len(each) <= len(one) || len(all) <= len(each) {
		t.Errorf("%d, %d and %d mutations of %d fields", len(one), len(each), len(all), len(m.Fields))
	}
	names := map[string]bool{}
	for _, x := range all {
		if names[x.String()] {
			t.Errorf("two mutations are named %s", x)
		}
		names[x.String()] = true
	}
}

func TestCheckFindsGapsAndOverlaps(t *testing.T) {
	g := secp256k1.Group{}
	for name, spoil := range map[string]func(*Message){
		"gap":       func(m *Message) { m.Fields = m.Fields[1:] },
		"overlap":   func(m *Message) { m.Fields[3].At--; m.Fields[3].Size++ },
		"beyond":    func(m *Message) { m.Fields[3].Size++ },
		"size":      func(m *Message) { m.Size-- },
		"no result": func(m *Message) { m.Fields[0].Want = 0 },
		"no type":   func(m *Message) { m.Fields[0].Type = 0 },
	} {
		m := message(g)
		spoil(&m)
		if m.Check(body(g, 1)) == nil {
			t.Errorf("%s: the table passes", name)
		}
	}
}

func TestJudge(t *testing.T) {
	bad, good := engine.PartyID{1}, engine.PartyID{2}
	token := func(id engine.PartyID) []engine.Token { return []engine.Token{{Peer: id}} }
	for name, c := range map[string]struct {
		end  End
		want Result // 0: may never happen
	}{
		"output":                  {End{Done: true}, Unaffected},
		"waits":                   {End{}, Timeout},
		"blames":                  {End{Err: engine.Blamed("x", bad, nil)}, Blame},
		"burns":                   {End{Err: engine.Burned("x", bad, nil), Burned: token(bad)}, Burn},
		"nobody":                  {End{Err: engine.Nobody("x", nil)}, Unattributed},
		"blames an honest party":  {End{Err: engine.Blamed("x", good, nil)}, 0},
		"burns an honest pair":    {End{Err: engine.Burned("x", bad, nil), Burned: token(good)}, 0},
		"burns and says blame":    {End{Err: engine.Blamed("x", bad, nil), Burned: token(bad)}, 0},
		"says burn, burns none":   {End{Err: engine.Burned("x", bad, nil)}, 0},
		"burns in silence":        {End{Done: true, Burned: token(bad)}, 0},
		"output beside an error":  {End{Done: true, Err: engine.Nobody("x", nil)}, 0},
		"error that is no fault":  {End{Err: errors.New("x")}, 0},
		"blames nobody":           {End{Err: &engine.Fault{Class: engine.Blame}}, 0},
		"names one, unattributed": {End{Err: &engine.Fault{Class: engine.Unattributed, Accused: []engine.PartyID{bad}}}, 0},
		"transient":               {End{Err: &engine.Fault{Class: engine.Transient}}, 0},
	} {
		got, err := Judge(bad, []End{c.end, {Done: true}})
		if got != c.want || (err == nil) != (c.want != 0) {
			t.Errorf("%s: %s, %v, want %s", name, got, err, c.want)
		}
	}
}
