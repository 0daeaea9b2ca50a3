package places_test

import (
	"testing"
	"time"

	"github.com/ostraka/ostraka/evidence/places"
	"github.com/ostraka/ostraka/node/nodetest"
)

// Whatever is handed in, whoever holds no keys for it and knows nobody believes nothing of it.
func FuzzJudge(f *testing.F) {
	d := document()
	f.Add(nodetest.NewCloud(f).Token(about(d, "bolt", "main"), "project-1", "europe-west3", noon))
	f.Add(nodetest.Sighting(f, sighted(d), "audra"))
	f.Add(recorded(f, "aws-us-west-2.rsa2048"))
	f.Add(recorded(f, "azure-usgovvirginia.json"))
	p := pinned(f)
	f.Fuzz(func(t *testing.T, content []byte) {
		for _, at := range []time.Time{{}, noon} {
			if x := one(p, places.File{Operator: "bolt", Place: "main", Content: content}, noon, at); len(x.Fields) > 0 || (x.State != places.Holds) != (x.Why != "") {
				t.Fatalf("%+v", x)
			}
		}
	})
}

func FuzzSighting(f *testing.F) {
	f.Add([]byte("ostraka/1 sighting\nwitness: x\n-----BEGIN SSH SIGNATURE-----\n"))
	f.Add([]byte("ostraka/1 sighting\nsaw: y\n-----BEGIN \n-----BEGIN "))
	f.Add(nodetest.Sighting(f, sighted(document()), "audra"))
	f.Fuzz(func(t *testing.T, in []byte) {
		s, armored, err := places.SplitSighting(in)
		if err == nil && s.Text()+string(armored) != string(in) {
			t.Fatal("a file was read that says something else")
		}
	})
}

func FuzzSighters(f *testing.F) {
	f.Add("# whom we trust\n\naudra ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIERlW7ax7gvJldehlfw+ZvDAYLACbHNKViwnwTYpsjoE\n")
	f.Add("audra eip712 0x70997970C51812dc3A010C7d01b50e0d17dc79C8")
	f.Fuzz(func(t *testing.T, in string) {
		all, err := places.ReadSighters(in)
		for name, keys := range all {
			if err != nil || name == "" || len(keys) == 0 {
				t.Fatalf("%q has %d keys, %v", name, len(keys), err)
			}
		}
	})
}
