package api

import (
	"encoding/json"
	"testing"

	"github.com/ostraka/ostraka/custody/charter"
	"github.com/ostraka/ostraka/node/nodetest"
)

// No answer of either interface holds a share, a data key or an identity's seed.
func TestNoSecretInAnswers(t *testing.T) {
	f := newMatrix(t)
	s := nodetest.NewScanner()
	v, _ := f.w.Hosts[0].Keeper.Root(f.vaults[0].id, charter.SuiteECDSA)
	for _, h := range f.w.Hosts[:2] {
		keys, err := f.w.Keys(h, v.Current.Record)
		if err != nil {
			t.Fatal(err)
		}
		s.Add("share of "+h.Own.Name, keys.Share.Bytes())
		s.Add("data key of "+h.Own.Name, h.DEK)
		s.Add("identity of "+h.Own.Name, h.Key.Seed())
		for peer, p := range keys.Pairs {
			s.Add("seed that "+h.Own.Name+" shares with "+peer.String(), p.Seed.Expose())
		}
	}
	token := f.token(0, "officer-0")
	look := func(d door, prefix, name string, body any) {
		_, message, answer := f.at(d, prefix+name, token, body)
		raw, err := json.Marshal(answer)
		if err != nil {
			t.Fatal(err)
		}
		if found := s.Find(append(raw, message...)); len(found) > 0 {
			t.Errorf("%s shows %v", name, found)
		}
	}
	for name, r := range reads {
		look(f.doors[0], peoplePath, name, r.body(f, f.vaults[0]))
	}
	_, socket := f.open(func() {})
	for name, r := range controls {
		look(socket, operatorPath, name, r.body(f))
	}
	planted, err := json.Marshal(map[string][]byte{"x": f.w.Hosts[0].DEK})
	if err != nil || len(s.Find(planted)) == 0 {
		t.Fatalf("a data key in an answer is not found: %v", err)
	}
}
