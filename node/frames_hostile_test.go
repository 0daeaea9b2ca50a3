package node_test

import (
	"bytes"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/ostraka/ostraka/crypto/transcript"
	"github.com/ostraka/ostraka/custody/charter"
	"github.com/ostraka/ostraka/custody/sos"
	"github.com/ostraka/ostraka/custody/sos/act"
	"github.com/ostraka/ostraka/custody/statement"
	protocol "github.com/ostraka/ostraka/mpc/ceremony"
	"github.com/ostraka/ostraka/node/ceremony"
	"github.com/ostraka/ostraka/node/nodetest"
	"github.com/ostraka/ostraka/node/outbox"
	"github.com/ostraka/ostraka/node/rescue"
)

// Spoiled is one field of a frame as nobody should take it, and the refusal that it meets.
type spoiled struct{ name, want string }

// drops tells a host a frame that it drops for that reason: it writes nothing, and answers nothing.
func (s setting) drops(l spoiled, from, to *nodetest.Host, frame []byte) {
	s.T.Helper()
	s.Queue = nil
	before, rows := s.Log.Len(), len(s.Rows(to, ""))
	s.Forge(from, to, frame)
	if log := s.Log.String()[before:]; !strings.Contains(log, "frame dropped") || !strings.Contains(log, l.want) {
		s.T.Errorf("frame %d, %s: not refused for %q: %q", frame[0], l.name, l.want, log)
	}
	if n := len(s.Rows(to, "")); n != rows || len(s.Queue) > 0 {
		s.T.Errorf("frame %d, %s: %d rows after %d, %d frames in answer", frame[0], l.name, n, rows, len(s.Queue))
	}
	s.Queue = nil
}

// asking is the body of frames 24, 28 and 29.
func asking(vault, request, nonce []byte) []byte {
	var e transcript.Encoder
	return e.Bytes(1, vault).Bytes(2, request).Bytes(3, nonce).Sum()
}

func flipped(id [32]byte) []byte { id[5] ^= 1; return id[:] }

// questions are 24, 28 or 29 with each field spoiled.
func (s setting) questions(kind byte, from, to *nodetest.Host, request, nonce [32]byte, vault, other, another string) {
	s.T.Helper()
	good := asking(s.vault[:], request[:], nonce[:])
	for l, body := range map[spoiled][]byte{
		{"another vault", vault}:                          asking(flipped(s.vault), request[:], nonce[:]),
		{"a shorter vault", "decode a question"}:          asking(s.vault[:31], request[:], nonce[:]),
		{"another request", other}:                        asking(s.vault[:], flipped(request), nonce[:]),
		{"a longer request", "decode a question"}:         asking(s.vault[:], append(request[:], 0), nonce[:]),
		{"another nonce", another}:                        asking(s.vault[:], request[:], flipped(nonce)),
		{"a shorter nonce", "decode a question"}:          asking(s.vault[:], request[:], nonce[:31]),
		{"no field", "decode a question"}:                 nil,
		{"a field less", "decode a question"}:             good[:len(good)-34],
		{"a byte less", "decode a question"}:              good[:len(good)-1],
		{"a byte more", "decode a question"}:              append(bytes.Clone(good), 0),
		{"the first field twice", "decode a question"}:    append(good[:34:34], good...),
		{"the last field again", "decode a question"}:     append(bytes.Clone(good), good[len(good)-34:]...),
		{"the fields of a part", "decode a question"}:     ceremony.SetPart{Key: request, Epoch: nonce, Size: 1, Bytes: []byte{1}}.Encode(),
		{"a question of another", "decode a question"}:    slices.Concat(request[:], nonce[:]),
		{"a frame within the frame", "decode a question"}: append([]byte{kind}, good...),
	} {
		if l.want != "-" {
			s.drops(l, from, to, append([]byte{kind}, body...))
		}
	}
}

// Every field of the frames by which nodes ask and answer one another in an emergency, spoiled by a member of the circle: each is refused for what it is, nothing is written or answered,
// and what is right is taken afterwards as if nothing had been (spec/node 12.8, 12.13, 12.19).
func TestHostileFramesOfAnEmergency(t *testing.T) {
	t.Parallel()
	s := emergency(t, charter.SuiteEd25519)
	a, b, c, d := s.Hosts[0], s.Hosts[1], s.Hosts[2], s.Hosts[3]
	s.Downtime = 1000 * time.Hour
	s.Crash(c)
	s.Downtime = 5 * time.Second
	kept := map[byte][][]byte{} // frames that do not arrive by themselves, by kind
	s.Pass = func(p nodetest.Parcel) []nodetest.Parcel {
		switch kind := p.Frame[0]; {
		case kind == 24 && p.From == a && p.To == b, kind == 28 && p.From == d && p.To == b:
			kept[kind] = append(kept[kind], p.Frame) // and it arrives
		case kind == 27 && p.To == d, kind == 25 && p.From == b && p.To == a, kind == 29 && p.To == d:
			kept[kind] = append(kept[kind], p.Frame)
			return nil
		}
		return []nodetest.Parcel{p}
	}
	r := s.declare()
	s.Run("a set is sent", func() bool { return len(kept[27]) > 0 })
	s.hostileSets(kept[27][0])
	s.questions(24, a, b, r.ID, [32]byte{7}, "", "SOS request", "-")
	s.questions(28, a, b, statement.ID{}, [32]byte{7}, "", "names no request", "-")
	s.Step(2 * time.Second)
	s.Deliver()
	if frames, _ := s.question(a, b, r); !slices.Equal(frames, []byte{25}) {
		t.Errorf("to what is right it answers %v", frames)
	}

	// The fourth was set back, and asks all for what they know: what was never asked does not count as told.
	s.Run("all have announced a key", func() bool { return len(s.places(d, r)) == 3 })
	rows := s.Rows(d, "")
	s.again(d, s.veto(r, 2)) // which ends nothing
	pass(s.World, 15*time.Second)
	s.Restore(d, rows)
	restored(t, s, d)
	s.Run("it asks", func() bool { return len(kept[28]) > 0 })
	body := kept[28][len(kept[28])-1][1:]
	nonce := [32]byte(body[len(body)-32:])
	s.questions(29, b, d, statement.ID{}, nonce, "answers no question", "answers no question", "answers no question")
	for range 4 {
		s.Step(500 * time.Millisecond)
		s.Deliver()
	}
	goesOn := func() (yes bool) {
		s.Act(d, func() {
			k, err := d.Rescue.Docket(t.Context(), s.vault)
			yes = err == nil && !k.Rolled()
		})
		return yes
	}
	if goesOn() {
		t.Error("it goes on, and nobody told it anything")
	}
	if len(kept[29]) == 0 {
		t.Fatal("it was not answered")
	}
	for _, h := range []*nodetest.Host{a, b} {
		s.Forge(h, d, append([]byte{29}, body...))
	}
	s.Run("it goes on", goesOn)
	s.Run("active again", s.allStand(sos.Active, r, a, b, d))
	s.hostileAnswers(r, kept)
}

// hostileSets spoils parts of a backup set that goes to the fourth, between two of another member's.
func (s setting) hostileSets(frame []byte) {
	a, b, d := s.Hosts[0], s.Hosts[1], s.Hosts[3]
	good, err := ceremony.DecodeSetPart(frame[1:])
	if err != nil || good.Size != len(good.Bytes) {
		s.T.Fatalf("%d bytes of %d: %v", len(good.Bytes), good.Size, err)
	}
	key, eh := good.Key, good.Epoch
	for l, raw := range map[spoiled][]byte{
		{"nothing", "0 bytes"}:             nil,
		{"a byte less", "63 bytes"}:        slices.Concat(key[:], eh[:31]),
		{"a byte more", "65 bytes"}:        slices.Concat(key[:], eh[:], []byte{0}),
		{"another key", ""}:                slices.Concat(flipped(key), eh[:]),
		{"another epoch", "another epoch"}: slices.Concat(key[:], flipped(eh)),
	} {
		s.drops(l, b, a, append([]byte{26}, raw...))
	}
	half := good.Size / 2
	part := func(from, to int) []byte {
		p := good
		p.Offset, p.Bytes = from, good.Bytes[from:to]
		return append([]byte{27}, p.Encode()...)
	}
	s.Forge(b, d, part(0, half))
	for l, edit := range map[spoiled]func(*ceremony.SetPart){
		{"another key", ""}:                func(p *ceremony.SetPart) { p.Key[0] ^= 1 },
		{"another epoch", "another epoch"}: func(p *ceremony.SetPart) { p.Epoch[0] ^= 1 },
		{"no plan", "decode"}:              func(p *ceremony.SetPart) { p.Plan = nil },
		{"another plan", ""}: func(p *ceremony.SetPart) {
			p.Plan = slices.Concat(p.Plan[:len(p.Plan)-1], []byte{p.Plan[len(p.Plan)-1] ^ 1})
		},
		{"a plan too long", "decode part"}:                       func(p *ceremony.SetPart) { p.Plan = make([]byte, 256<<10+1) },
		{"less than there is", "of "}:                            func(p *ceremony.SetPart) { p.Size-- },
		{"more than a set has", "decode part"}:                   func(p *ceremony.SetPart) { p.Size = 1<<20 + 1 },
		{"an offset beyond", "bytes at"}:                         func(p *ceremony.SetPart) { p.Offset = 1 << 20 },
		{"an offset in the middle", "begins at 7, and not at 0"}: func(p *ceremony.SetPart) { p.Offset, p.Bytes = 7, p.Bytes[7:] },
		{"other bytes", ""}:                                      func(p *ceremony.SetPart) { p.Bytes = slices.Clone(p.Bytes); p.Bytes[half] ^= 1 },
		{"no bytes", "0 bytes at"}:                               func(p *ceremony.SetPart) { p.Bytes = nil },
		{"a set of fewer bytes", ""}:                             func(p *ceremony.SetPart) { p.Bytes = p.Bytes[:half]; p.Size = half },
	} {
		p := good
		edit(&p)
		s.drops(l, a, d, append([]byte{27}, p.Encode()...))
	}
	s.drops(spoiled{"cut", "decode part"}, a, d, frame[:len(frame)-1])
	s.drops(spoiled{"a byte more", "decode part"}, a, d, append(bytes.Clone(frame), 0))
	s.drops(spoiled{"a question", "decode part"}, a, d, append([]byte{27}, asking(key[:], eh[:], eh[:])...))
	s.drops(spoiled{"to who has it", "nobody here asked for"}, b, a, frame)
	s.drops(spoiled{"the rest of another's", "begins at"}, a, d, part(half, good.Size))
	if s.has(d, protocol.RowBackups, eh) {
		s.T.Error("a set is kept of which half came")
	}
	s.Forge(b, d, part(half, good.Size))
	if !s.has(d, protocol.RowBackups, eh) {
		s.T.Error("the other half came, and the set is not kept")
	}
	s.drops(spoiled{"once more", "nobody here asked for"}, a, d, frame)
}

// hostileAnswers spoils the answer that a contributor's part waits for. What is well formed, and of another matter, is heard, and nothing is given for it.
func (s setting) hostileAnswers(r act.Request, kept map[byte][][]byte) {
	a, b, c, d := s.Hosts[0], s.Hosts[1], s.Hosts[2], s.Hosts[3]
	clear(kept)
	id := s.activate(a)[0]
	s.Run("signed", func() bool { return s.activated(a, r, id) && s.activated(b, r, id) && s.activated(d, r, id) })
	for i := range 2 {
		s.again(b, s.contribution(r, id, i))
	}
	s.Run("asked and answered", func() bool { return len(kept[25]) > 0 })
	good := kept[25][len(kept[25])-1]
	note, err := outbox.Decode(good[1:])
	if err != nil {
		s.T.Fatal(err)
	}
	st, err := statement.Parse(note.Fields[0])
	if err != nil {
		s.T.Fatal(err)
	}
	said := func(by *nodetest.Host, edit func(*act.NoVeto)) []byte {
		v, err := act.NoVetoOf(st)
		if err != nil {
			s.T.Fatal(err)
		}
		edit(&v)
		x, err := v.Statement(s.Salt())
		return append([]byte{25}, s.nodeSays(by, x, err).Encode()...)
	}
	of := func(edit func(*outbox.Note)) []byte {
		n := outbox.Note{Kind: note.Kind, Fields: slices.Clone(note.Fields)}
		edit(&n)
		return append([]byte{25}, n.Encode()...)
	}
	veto := s.veto(r, 2)
	for l, frame := range map[spoiled][]byte{
		{"nothing", ""}:     {25},
		{"a byte less", ""}: good[:len(good)-1],
		{"another kind of note", "an answer about"}:            of(func(n *outbox.Note) { n.Kind = rescue.NoteContribution }),
		{"one field", "an answer about"}:                       of(func(n *outbox.Note) { n.Fields = n.Fields[:1] }),
		{"three fields", "an answer about"}:                    of(func(n *outbox.Note) { n.Fields = append(n.Fields, nil) }),
		{"a veto", "sos-no-veto"}:                              of(func(n *outbox.Note) { n.Fields = veto.Fields }),
		{"no statement", ""}:                                   of(func(n *outbox.Note) { n.Fields[0] = nil }),
		{"no signature", "signature"}:                          of(func(n *outbox.Note) { n.Fields[1] = nil }),
		{"another's signature", "signature"}:                   said(d, func(*act.NoVeto) {}),
		{"in another's name", "signature"}:                     said(b, func(v *act.NoVeto) { v.Operator = d.Own.Name }),
		{"a stranger's", ""}:                                   said(b, func(v *act.NoVeto) { v.Operator = "operator-9" }),
		{"of another vault", ""}:                               said(b, func(v *act.NoVeto) { v.Vault[0] ^= 1 }),
		{"of another request", "no-veto"}:                      said(b, func(v *act.NoVeto) { v.Request[0] ^= 1 }),
		{"to another", "answers no question of ours"}:          said(b, func(v *act.NoVeto) { v.Asker = d.Own.Name }),
		{"to another question", "answers no question of ours"}: said(b, func(v *act.NoVeto) { v.Nonce[0] ^= 1 }),
	} {
		s.drops(l, b, a, frame)
	}
	for name, x := range map[string]struct {
		by   *nodetest.Host
		edit func(*act.NoVeto)
	}{
		"in earnest":         {b, func(v *act.NoVeto) { v.Drill = false }},
		"of another charter": {b, func(v *act.NoVeto) { v.Charter[0] ^= 1 }},
		"of another log":     {b, func(v *act.NoVeto) { v.Origin += "x" }},
		"of a longer log":    {b, func(v *act.NoVeto) { v.Log.Size += 1 << 30 }},
		"of another head":    {b, func(v *act.NoVeto) { v.Log.Root[0] ^= 1 }},
		"two hours old":      {b, func(v *act.NoVeto) { v.Created = v.Created.Add(-2 * time.Hour) }},
		"an hour ahead":      {b, func(v *act.NoVeto) { v.Created = v.Created.Add(time.Hour) }},
		"of the subject":     {c, func(v *act.NoVeto) { v.Operator = c.Own.Name }},
		"of a witness alone": {d, func(v *act.NoVeto) { v.Operator = d.Own.Name }},
	} {
		s.Forge(x.by, a, said(x.by, x.edit))
		for range 2 {
			s.Step(500 * time.Millisecond)
			s.Deliver()
		}
		if s.gave(a, r, id) {
			s.T.Fatalf("a part is given for an answer %s", name)
		}
	}
	s.Forge(b, a, good)
	s.Run("a part is given for what was asked", func() bool { return s.gave(a, r, id) })
	s.Run("new shares", func() bool { return s.HeldBy(a, s.vault, 3, a, b, d) && s.HeldBy(d, s.vault, 3, a, b, d) })
}
