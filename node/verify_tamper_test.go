package node_test

import (
	"bytes"
	"crypto/ed25519"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/ostraka/ostraka/evidence/tlog"
	"github.com/ostraka/ostraka/evidence/verify"
	"github.com/ostraka/ostraka/node/nodetest"
)

// find is where a log's n-th leaf of a kind stands, the first being 0.
func find(t *testing.T, p *nodetest.Published, kind string, n int) int {
	t.Helper()
	for i, l := range p.Leaves {
		if l.Kind == kind {
			if n == 0 {
				return i
			}
			n--
		}
	}
	t.Fatalf("the log of %s has no such %s", p.Name, kind)
	return 0
}

// Whatever one operator, or who serves its files, changes in what was published is found, and named. The first operator is the liar.
func TestVerifyFindsWhatWasChanged(t *testing.T) {
	t.Parallel()
	w, honest := shownBy(t)
	older := w.Publish(w.Hosts[0])
	for range 2 {
		w.Now = w.Now.Add(w.Document().Heartbeat)
		n := len(beats(t, w.Hosts[0]))
		w.Run("the logs grew, and others saw it", func() bool {
			return w.All(func(h *nodetest.Host) bool { return len(beats(t, h)) >= n+3 && cosigned(h, 2) })
		})
	}
	honest = honest[:0]
	for _, h := range w.Hosts {
		honest = append(honest, w.Publish(h))
	}
	lies := map[string]struct {
		files func(f map[string][]byte, p *nodetest.Published) // what who serves them does
		log   func(p *nodetest.Published)                      // what the operator does, who signs its log anew
		named []string                                         // the finding says
	}{
		"a leaf changed": {files: func(f map[string][]byte, _ *nodetest.Published) { f[path(f, "tile/entries/")][40] ^= 1 }, named: []string{"tile/entries/000"}},
		"a leaf removed": {files: func(f map[string][]byte, p *nodetest.Published) { reenter(f, slices.Delete(leavesOf(p), 7, 8)) }, named: []string{"tile/entries/000", "leaves"}},
		"a leaf put in": {files: func(f map[string][]byte, p *nodetest.Published) {
			reenter(f, slices.Insert(leavesOf(p), 7, leavesOf(p)[3]))
		}, named: []string{"tile/entries/000"}},
		"leaves reordered": {files: func(f map[string][]byte, p *nodetest.Published) {
			l := leavesOf(p)
			l[7], l[8] = l[8], l[7]
			reenter(f, l)
		}, named: []string{"tile/entries/000", "leaf 7"}},
		"a tile cut":   {files: func(f map[string][]byte, _ *nodetest.Published) { k := path(f, "tile/0/"); f[k] = f[k][:len(f[k])-32] }, named: []string{"tile/0/000"}},
		"a tile's bit": {files: func(f map[string][]byte, _ *nodetest.Published) { f[path(f, "tile/0/")][99] ^= 4 }, named: []string{"tile/0/000"}},
		"a tile away":  {files: func(f map[string][]byte, _ *nodetest.Published) { delete(f, path(f, "tile/0/")) }, named: []string{"tile/0/000"}},
		"a body's bit": {files: func(f map[string][]byte, _ *nodetest.Published) {
			b := f[path(f, "body/")]
			b[bytes.Index(b, []byte("circle:"))] ^= 1
		}, named: []string{"body"}},
		"a checkpoint's bit":  {files: func(f map[string][]byte, _ *nodetest.Published) { f["checkpoint"][len(f["checkpoint"])-20] ^= 1 }, named: []string{"operator-0"}},
		"keys of another":     {files: func(f map[string][]byte, _ *nodetest.Published) { f["keys"] = honest[1].Keys }, named: []string{"operator-0"}},
		"an old checkpoint":   {files: func(f map[string][]byte, _ *nodetest.Published) { clear(f); maps.Copy(f, must(t, older)) }, named: []string{"operator operator-0", "an old checkpoint"}},
		"a stranger's word":   {files: func(f map[string][]byte, _ *nodetest.Published) { f["checkpoint"], _ = strange(t, f["checkpoint"]) }, named: []string{"example.com/stranger", "a stranger"}},
		"a witness's forgery": {files: func(f map[string][]byte, _ *nodetest.Published) { f["checkpoint"] = forge(f["checkpoint"]) }, named: []string{"ostraka.witness/"}},

		"rewritten": {log: func(p *nodetest.Published) { p.Leaves[5].Time = p.Leaves[5].Time.Add(time.Hour) }, named: []string{"operator operator-0", "another root"}},
		"a leaf that says less, as of the first release": {log: func(p *nodetest.Published) {
			i := find(t, p, tlog.KindDecision, 0)
			p.Leaves[i].First, p.Leaves[i].About = true, [32]byte{}
		}, named: []string{"log at ", "the form of the first release"}},
		"its own decision left out": {log: func(p *nodetest.Published) {
			i := find(t, p, tlog.KindDecision, 0)
			p.Leaves = slices.Delete(p.Leaves, i, i+1)
		}, named: []string{"operator operator-0", "lacks it"}},
		"a signature left out": {log: func(p *nodetest.Published) {
			i := find(t, p, tlog.KindSigned, 0)
			p.Leaves = slices.Delete(p.Leaves, i, i+1)
		}, named: []string{"operator operator-0"}},
		"a heartbeat replayed": {log: func(p *nodetest.Published) {
			l := p.Leaves[find(t, p, tlog.KindHeartbeat, 1)]
			l.Time = p.Leaves[len(p.Leaves)-1].Time
			p.Leaves = append(p.Leaves, l)
		}, named: []string{"operator operator-0", "tells again of heartbeat"}},
		"a heartbeat kept for later": {log: func(p *nodetest.Published) { // as if the other had just shown that it lives
			i := slices.IndexFunc(p.Leaves, func(l tlog.Filed) bool {
				return l.Kind == tlog.KindHeartbeat && bytes.Contains(l.Content, []byte("operator: operator-1\n"))
			})
			l := p.Leaves[i]
			p.Leaves = slices.Delete(p.Leaves, i, i+1)
			l.Time = p.Leaves[len(p.Leaves)-1].Time.Add(24 * time.Hour)
			p.Leaves = append(p.Leaves, tlog.Notes(tlog.KindBurn, l.Time, [32]byte{}, [32]byte{}), l)
		}, named: []string{"operator operator-0", "old heartbeat"}},
		"a decision of nobody": {log: func(p *nodetest.Published) {
			l := p.Leaves[find(t, p, tlog.KindHeard, 0)]
			l.ID[0], l.Body = l.ID[0]^1, tlog.Body{}
			p.Leaves = append(p.Leaves, l)
		}, named: []string{"log at operator-0", "without a body"}},
		"an address of its own": {log: func(p *nodetest.Published) {
			i := find(t, p, tlog.KindAddress, 0)
			b := bytes.Clone(p.Leaves[i].Content)
			at := bytes.Index(b, []byte("0x"))
			b[at+10] = "0123456789abcdef"[(bytes.IndexByte([]byte("0123456789abcdef"), b[at+10]|0x20)+1)%16]
			p.Leaves = append(p.Leaves, tlog.Says(tlog.KindAddress, p.Leaves[i].Time, p.Leaves[i].Vault, b))
		}, named: []string{"operator-0", "does not"}},
	}
	for name, lie := range lies {
		t.Run(name, func(t *testing.T) {
			p := *honest[0]
			p.Leaves = slices.Clone(p.Leaves)
			if lie.log != nil {
				if lie.log(&p); p.Sign() != nil {
					t.Fatal("not signed")
				}
			}
			files := must(t, &p)
			if lie.files != nil {
				lie.files(files, &p)
			}
			from := append([]verify.Source{nodetest.Source("operator-0", files)}, sources(t, honest[1:])...)
			r, err := verify.Verify(from, verify.Options{Now: w.Now})
			if err != nil {
				t.Fatal(err)
			}
			said := strings.Join(failures(r), "\n")
			if !r.Failed {
				t.Fatal("nothing was found")
			}
			for _, want := range lie.named {
				if !strings.Contains(said, want) {
					t.Errorf("%q is not said:\n%s", want, said)
				}
			}
		})
	}
	t.Run("a witness that only its operator names", func(t *testing.T) {
		files := must(t, honest[0])
		var by tlog.Witness
		files[tlog.PathCheckpoint], by = strange(t, files[tlog.PathCheckpoint])
		files[tlog.PathWitnesses] = tlog.EncodeWitnesses([]tlog.Witness{by})
		from := append([]verify.Source{nodetest.Source("operator-0", files)}, sources(t, honest[1:])...)
		for _, known := range [][]tlog.Witness{nil, {by}} {
			r, err := verify.Verify(from, verify.Options{Now: w.Now, Witnesses: known})
			if err != nil || r.Failed {
				t.Fatal(err, failures(r))
			}
			counts := slices.ContainsFunc(r.Logs[0].Cosigned, func(c verify.Cosigned) bool { return c.By == by.Name() && c.Outside })
			said := strings.Contains(strings.Join(r.Attention, "\n"), by.Label()+", which operator-0 names as a witness")
			if counts != (known != nil) || said == counts {
				t.Errorf("known: %t, counted: %t, said not to be: %t", known != nil, counts, said)
			}
		}
	})
	t.Run("a fork", func(t *testing.T) {
		p := *honest[0]
		p.Leaves = slices.Clone(p.Leaves)
		n := len(p.Leaves) - 1
		p.Leaves[n].Time = p.Leaves[n].Time.Add(time.Second)
		if err := p.Sign(); err != nil {
			t.Fatal(err)
		}
		from := append(sources(t, honest), nodetest.Source("shown to somebody else", must(t, &p)))
		r, err := verify.Verify(from, verify.Options{Now: w.Now})
		if said := strings.Join(failures(r), "\n"); err != nil || !strings.Contains(said, "operator operator-0: its log shows everybody one history") || !strings.Contains(said, "forked") {
			t.Errorf("%v: %s", err, said)
		}
	})
	t.Run("what was seen before", func(t *testing.T) {
		p := *honest[0]
		p.Leaves = slices.Clone(p.Leaves)
		p.Leaves[len(p.Leaves)-1].Time = p.Leaves[len(p.Leaves)-1].Time.Add(time.Second)
		if err := p.Sign(); err != nil {
			t.Fatal(err)
		}
		for name, seen := range map[string][]byte{"another history": honest[0].Signed, "a log that is gone": []byte("elsewhere\n1\n\n\n")} {
			from := append([]verify.Source{nodetest.Source("operator-0", must(t, &p))}, sources(t, honest[1:])...)
			if r, err := verify.Verify(from, verify.Options{Now: w.Now, Seen: [][]byte{seen}}); err != nil || !r.Failed {
				t.Errorf("%s: %v, %v", name, err, failures(r))
			}
		}
		from := append([]verify.Source{nodetest.Source("operator-0", must(t, older))}, sources(t, honest[1:])...)
		if r, err := verify.Verify(from, verify.Options{Now: w.Now, Seen: [][]byte{honest[0].Signed}}); err != nil || !strings.Contains(strings.Join(failures(r), "\n"), "and the reader saw") {
			t.Errorf("a step back: %v, %v", err, failures(r))
		}
		if r, err := verify.Verify(sources(t, honest), verify.Options{Now: w.Now, Seen: [][]byte{older.Signed}}); err != nil || r.Failed {
			t.Errorf("a log that grew fails: %v, %v", err, failures(r))
		}
	})
	t.Run("another circle", func(t *testing.T) {
		if r, err := verify.Verify(sources(t, honest), verify.Options{Now: w.Now, Circle: [32]byte{1}}); err != nil || !r.Failed {
			t.Errorf("%v, %v", err, failures(r))
		}
	})
	t.Run("a log not shown", func(t *testing.T) {
		r, err := verify.Verify(sources(t, honest[1:]), verify.Options{Now: w.Now})
		if said := strings.Join(failures(r), "\n"); err != nil || !strings.Contains(said, "operator operator-0: its log is shown") {
			t.Errorf("%v: %s", err, said)
		}
	})
}

func must(t *testing.T, p *nodetest.Published) map[string][]byte {
	t.Helper()
	files, err := p.Files()
	if err != nil {
		t.Fatal(err)
	}
	for k, b := range files {
		files[k] = bytes.Clone(b)
	}
	return files
}

// path is the first file whose path begins so.
func path(files map[string][]byte, prefix string) string {
	for _, k := range slices.Sorted(maps.Keys(files)) {
		if strings.HasPrefix(k, prefix) {
			return k
		}
	}
	return ""
}

func leavesOf(p *nodetest.Published) (out [][]byte) {
	for _, l := range p.Leaves {
		out = append(out, l.Leaf.Encode())
	}
	return out
}

func reenter(files map[string][]byte, leaves [][]byte) {
	b, err := tlog.EncodeEntries(leaves)
	if err != nil {
		panic(err)
	}
	files[path(files, "tile/entries/")] = b
}

// strange adds a cosignature by a key that nobody named.
func strange(t *testing.T, signed []byte) ([]byte, tlog.Witness) {
	t.Helper()
	c, err := tlog.NewCosigner("example.com/stranger", ed25519.NewKeyFromSeed(bytes.Repeat([]byte{9}, 32)))
	if err != nil {
		t.Fatal(err)
	}
	return cosignedAt(t, signed, c, time.Unix(1_900_000_000, 0)), c.Witness()
}

// forge changes a witness's cosignature.
func forge(signed []byte) []byte {
	out := bytes.Clone(signed)
	i := bytes.LastIndex(out, []byte(" "))
	c := &out[i+30]
	if *c == 'A' {
		*c = 'B'
	} else {
		*c = 'A'
	}
	return out
}
