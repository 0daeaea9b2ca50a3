package nodetest

import (
	"context"
	"encoding/binary"
	"fmt"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"github.com/ostraka/ostraka/crypto/group"
	"github.com/ostraka/ostraka/custody/charter"
	"github.com/ostraka/ostraka/custody/signet"
	"github.com/ostraka/ostraka/custody/statement"
	"github.com/ostraka/ostraka/evidence/tlog"
	protocol "github.com/ostraka/ostraka/mpc/ceremony"
	"github.com/ostraka/ostraka/mpc/epoch"
	mpc "github.com/ostraka/ostraka/mpc/session"
	"github.com/ostraka/ostraka/node/journal"
	"github.com/ostraka/ostraka/node/seal"
	"github.com/ostraka/ostraka/node/store"
)

// Many gives the hosts, which share one vault already, so many more, in stores in folders below dir, and stops them. A real one
// takes seconds to make. These have the first one's shares and pairs under key ids of their own; statements, records, certificates and signatures are
// made for each, and rows and leaves are written as a node writes them. A charter lists 64 vaults at most, so most of them are of versions
// that came before: nobody may propose anything to those, and the nodes hold them all the same. The last ones can sign.
func (w *World) Many(dir string, n int, like statement.ID) (all []statement.ID) {
	w.T.Helper()
	m := &many{w: w, like: like}
	m.read()
	vaults := m.list(n)
	stores := make([]*journal.Journal, len(w.Hosts))
	for i, h := range w.Hosts {
		rows := w.Rows(h, "")
		w.Crash(h)
		h.Folder, h.back = filepath.Join(dir, h.Own.Name), time.Time{}
		st, err := h.open()
		if err != nil {
			w.T.Fatal(err)
		}
		defer st.Close()
		fill(w.T.Fatal, st, rows)
		if stores[i], err = journal.Open(context.Background(), st); err != nil {
			w.T.Fatal(err)
		}
	}
	m.write(vaults, stores)
	for _, v := range vaults {
		all = append(all, v.ID)
	}
	return all
}

func fill(fatal func(...any), st store.Store, rows []store.Item) {
	for chunk := range slices.Chunk(rows, 16) {
		var b store.Batch
		for _, it := range chunk {
			b.Put = append(b.Put, store.Entry{Key: it.Key, Value: it.Value})
		}
		if _, err := st.Commit(context.Background(), b); err != nil {
			fatal(err)
		}
	}
}

// many is what the vaults are made from.
type many struct {
	w       *World
	like    statement.ID
	record  *epoch.Record
	secrets []map[string][]byte // of each host, by row
	shares  []group.Scalar
}

// read opens what the hosts hold of the one vault.
func (m *many) read() {
	w := m.w
	for _, h := range w.Hosts {
		v, ok := h.Keeper.Root(m.like, w.Suite)
		if !ok || v.Current == nil {
			w.T.Fatal("there is no vault to make others from")
		}
		m.record = v.Current.Record
		eh, self := m.record.Hash(), mpc.IDOf(h.Own.Identity)
		secrets := map[string][]byte{}
		names := []string{protocol.RowShare}
		for _, o := range m.record.Members {
			if o.ID != self && w.Suite == charter.SuiteECDSA {
				names = append(names, protocol.RowPair(o.ID))
			}
		}
		for _, row := range names {
			it, err := h.store.Get(context.Background(), store.Key("epoch", store.ID(m.record.KeyID[:]), store.ID(eh[:]), store.Name(row)))
			if err != nil {
				w.T.Fatal(err)
			}
			b, err := h.Box.Open(label(m.record.KeyID, eh, self[:], row), it.Value)
			if err != nil {
				w.T.Fatal(err)
			}
			secrets[row] = b.Expose()
		}
		s, err := m.record.Public.Group().DecodeScalar(secrets[protocol.RowShare])
		if err != nil {
			w.T.Fatal(err)
		}
		m.secrets, m.shares = append(m.secrets, secrets), append(m.shares, s)
	}
}

func label(key [32]byte, eh epoch.Hash, self []byte, row string) seal.Label {
	return seal.Label{Key: key[:], Epoch: eh[:], Operator: self, Row: row}
}

// list brings versions of the charter into force that list the vaults, one after the other.
func (m *many) list(n int) (vaults []charter.Vault) {
	w := m.w
	first := slices.Clone(w.Vaults)
	for len(vaults) < n {
		w.Vaults = slices.Clone(first)
		var names []string
		for i := len(vaults); i < n && len(w.Vaults) < statement.MaxVaults; i++ {
			names = append(names, fmt.Sprintf("vault-%06d", i))
			w.Vaults = append(w.Vaults, w.VaultFile(names[len(names)-1], m.record.Threshold))
		}
		w.Enact()
		x, _ := w.Hosts[0].Charters.Charter()
		_, r, _ := w.Hosts[0].Circle.Roster()
		for _, name := range names {
			v, err := x.Draft(name, r, w.Now)
			if err != nil {
				w.T.Fatal(err)
			}
			vaults = append(vaults, v)
		}
	}
	return vaults
}

// write makes each vault's rows on all hosts, several at a time so that they share the disk's waits.
func (m *many) write(vaults []charter.Vault, into []*journal.Journal) {
	jobs := make(chan int)
	var wg sync.WaitGroup
	for range 32 {
		wg.Go(func() {
			for i := range jobs {
				if err := m.make(&vaults[i], into); err != nil {
					m.w.T.Error(err)
				}
			}
		})
	}
	for i := range vaults {
		jobs <- i
	}
	close(jobs)
	wg.Wait()
}

// make makes one vault as its ceremony leaves it on all hosts.
func (m *many) make(v *charter.Vault, into []*journal.Journal) error {
	w := m.w
	s, err := v.Statement(w.Salt())
	if err != nil {
		return err
	}
	v.ID = s.ID()
	a := charter.Accepted{Statement: s, Signatures: map[string][]byte{}}
	for _, h := range w.Hosts {
		a.Signatures[h.Own.Name] = h.Officer.Makes(w.T, s)
	}
	r := *m.record
	r.KeyID = epoch.KeyID(v.ID, w.Suite, 1)
	cert := &epoch.Cert{Record: r.Hash()}
	f := &epoch.FinalCert{Record: &r, Cert: cert}
	for _, p := range r.Members {
		cert.Preps = append(cert.Preps, epoch.SignPrep(r.Hash(), mpc.NewSigner(w.Find(p.Identity).Key)))
	}
	for _, p := range r.Members {
		h := w.Find(p.Identity)
		final, err := epoch.MakeFinal(&r, cert, p.ID, m.shares[slices.Index(w.Hosts, h)], w.Rand, mpc.NewSigner(h.Key))
		if err != nil {
			return err
		}
		f.Finals = append(f.Finals, final)
	}
	choice, err := charter.KeyChoice{
		Charter: v.Charter, Vault: v.ID, Key: r.KeyID, Attempt: 1, Suite: w.Suite, PublicKey: r.Public.Bytes(), Epoch: r.Hash(), Certificate: f.Sum(),
	}.Statement()
	if err != nil {
		return err
	}
	rows := m.rows(v.ID, a, f, choice)
	for i, h := range w.Hosts {
		e, err := m.sealed(h, i, &r)
		if err != nil {
			return err
		}
		e.Add(rows)
		if err := into[i].Write(context.Background(), e); err != nil {
			return err
		}
	}
	return nil
}

// rows are those that all hosts have alike.
func (m *many) rows(vault statement.ID, a charter.Accepted, f *epoch.FinalCert, choice statement.Statement) (e journal.Entry) {
	w, r := m.w, f.Record
	key, eh, cert, now := store.ID(r.KeyID[:]), r.Hash(), f.Encode(), w.Now
	at := binary.BigEndian.AppendUint64(nil, uint64(now.Unix()))
	put := func(value []byte, kind string, parts ...store.Part) {
		e.Put = append(e.Put, store.Entry{Key: store.Key(kind, parts...), Value: value})
	}
	put(a.Bytes(), "vault", store.ID(vault[:]))
	put(binary.BigEndian.AppendUint64(nil, 1), "attempt", store.ID(vault[:]), store.Name(w.Suite))
	put(r.Encode(), "epoch", key, store.ID(eh[:]), store.Name(protocol.RowRecord))
	put(f.Cert.Encode(), "epoch", key, store.ID(eh[:]), store.Name("cert"))
	put([]byte{1}, "epoch", key, store.ID(eh[:]), store.Name("tested"))
	put(cert, "current", key)
	put(cert, "link", key, store.Number(0), store.ID(eh[:]))
	put(at, "moved", key)
	put(at, "since", key, store.ID(eh[:]))
	e.Leaves = journal.Signed(now, vault, nil, a)
	e.Leaves = append(e.Leaves, tlog.Says(tlog.KindFinalCert, now, vault, cert).On(eh))
	for _, final := range f.Finals {
		put(final.Encode(), "final", key, store.ID(eh[:]), store.ID(final.From[:]))
		put(at, "proved", key, store.ID(final.From[:]))
		e.Leaves = append(e.Leaves, tlog.Says(tlog.KindFinal, now, vault, final.Encode()).On(eh))
	}
	for _, h := range w.Hosts {
		sig, err := signet.SignNode(h.Key, choice)
		if err != nil {
			w.T.Error(err)
		}
		put(append(sig, choice.Bytes()...), "choice", store.ID(vault[:]), store.Name(w.Suite), store.Name(h.Own.Name))
		e.Leaves = append(e.Leaves, tlog.Says(tlog.KindStatement, now, vault, choice.Bytes(), sig))
	}
	return e
}

// sealed are a host's secrets under a record of its own.
func (m *many) sealed(h *Host, i int, r *epoch.Record) (e journal.Entry, err error) {
	self, eh := mpc.IDOf(h.Own.Identity), r.Hash()
	for row, secret := range m.secrets[i] {
		b, err := h.Box.Seal(label(r.KeyID, eh, self[:], row), secret)
		if err != nil {
			return e, err
		}
		e.Put = append(e.Put, store.Entry{Key: store.Key("epoch", store.ID(r.KeyID[:]), store.ID(eh[:]), store.Name(row)), Value: b})
	}
	return e, nil
}
