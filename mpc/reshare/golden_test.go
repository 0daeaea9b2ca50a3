package reshare

import (
	"bytes"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/ostraka/ostraka/mpc/engine/enginetest"
)

var update = flag.Bool("update", false, "write the outputs of testdata anew")

func golden(t *testing.T, file string, got []byte) {
	t.Helper()
	if *update {
		if err := os.WriteFile(file, got, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, want) {
		t.Errorf("%s differs; now it is\n%s", file, got)
	}
}

// Byte snapshots of every message and of the output, of one party of each role.
func TestGolden(t *testing.T) {
	var out bytes.Buffer
	for _, g := range groups {
		v := newVault(t, g, 2, 0, 1, 2)
		for _, c := range []struct {
			name string
			all  []Params
			show []int
		}{
			{"reshare of 2-of-3 by 0, 1 to 2-of-3: 1, 2, 3", v.reshare(t, 2, []int{0, 1}, []int{1, 2, 3}, sid, 1), []int{0, 1, 3}},
			{"refresh of 2-of-3", v.refresh(sid, 1), []int{0}},
		} {
			cluster := enginetest.Run(enginetest.Options{}, machines(t, c.all)...)
			outs, err := cluster.Results()
			if err != nil {
				t.Fatal(err)
			}
			for _, i := range c.show {
				fmt.Fprintf(&out, "# %s, %s: party %d\n", g.Name(), c.name, i)
				for _, m := range cluster.Parties[i].Sent {
					fmt.Fprintf(&out, "round %d kind %#x to %v %x\n", m.Round, uint8(m.Kind), m.To, m.Body)
				}
				if s := outs[i].Share; s != nil {
					fmt.Fprintf(&out, "share %x\n", s.Bytes())
				}
			}
			o := outs[0]
			fmt.Fprintf(&out, "public %x\nchain-code %x\necho %x\n", o.Public.Bytes(), o.ChainCode, o.Echo)
			for _, p := range c.all[0].receivers() {
				fmt.Fprintf(&out, "public-share %v %x\n", p.ID, o.Publics[p.ID].Bytes())
			}
		}
	}
	golden(t, filepath.Join("testdata", "golden.txt"), out.Bytes())
}

// Sessions to be read. Party 1 leaves, 2 and 3 stay (3 deals nothing), 4 joins.
func TestSessionTranscripts(t *testing.T) {
	files, err := filepath.Glob("testdata/sessions/*.txt")
	if err != nil || len(files) == 0 {
		t.Fatal("no transcripts", err)
	}
	for _, path := range files {
		t.Run(filepath.Base(path), func(t *testing.T) {
			text, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			v := newVault(t, groups[0], 2, 0, 1, 2)
			all := v.reshare(t, 2, []int{0, 1}, []int{1, 2, 3}, sid, 1)
			if matched, _ := filepath.Match("refresh*", filepath.Base(path)); matched {
				all = v.refresh(sid, 1)
			}
			got, err := enginetest.Script(string(text), shown(t, all)...)
			if err != nil {
				t.Fatal(err)
			}
			golden(t, path, []byte(got))
		})
	}
}
