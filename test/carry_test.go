package test

import (
	"bytes"
	"crypto/ed25519"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/ostraka/ostraka/client"
	"github.com/ostraka/ostraka/client/carry"
	"github.com/ostraka/ostraka/custody/statement"
)

// tamper FILE alters each field of an exported case in many places, with the hash counted anew, as somebody who carries it could: none may be
// believed.
func (w *circle) tamper(ts *testscript.TestScript, _ bool, args []string) {
	file := []byte(ts.ReadFile(args[0]))
	contexts, err := client.LoadContexts(w.local.ContextsFile())
	ts.Check(err)
	x, err := contexts.Get("")
	ts.Check(err)
	var trust client.Trust
	for _, n := range x.Nodes {
		trust.Identities = append(trust.Identities, n.Identity)
	}
	read := func(c carry.Case) error {
		c, err := carry.DecodeCase(c.Bytes())
		if err == nil {
			_, err = client.ReadCarried(c, trust)
		}
		return err
	}
	good, err := carry.DecodeCase(file)
	ts.Check(err)
	ts.Check(read(good))
	tried := 0
	for n, f := range fieldsOf(&good) {
		for at := 0; at < len(*f); at += max(1, len(*f)/19) {
			was := *f
			*f = bytes.Clone(was)
			(*f)[at] ^= 1
			if read(good) == nil {
				ts.Fatalf("field %d, byte %d altered: it is believed", n, at)
			}
			*f = was
			tried++
		}
	}
	if tried < 100 {
		ts.Fatalf("only %d places were altered", tried)
	}
	w.without(ts, good, read)
}

// without leaves parts out that the case does not hold without.
func (w *circle) without(ts *testscript.TestScript, good carry.Case, read func(carry.Case) error) {
	for name, change := range map[string]func(*carry.Case){
		"roster": func(c *carry.Case) { c.Rosters = nil },
		"a roster's voice": func(c *carry.Case) {
			c.Rosters = []carry.Signed{{Statement: c.Rosters[0].Statement, Signatures: c.Rosters[0].Signatures[1:]}}
		},
		"charter":        func(c *carry.Case) { c.Charters = nil },
		"proposal":       func(c *carry.Case) { c.Intent.Signatures = c.Rosters[0].Signatures[:1] },
		"another's vote": func(c *carry.Case) { c.Votes[0].Person = "carol" },
		"a vote turned":  func(c *carry.Case) { c.Votes[0].Verb = "reject" },
	} {
		c := good
		c.Votes = append([]carry.Vote(nil), good.Votes...)
		change(&c)
		if read(c) == nil {
			ts.Fatalf("%s: it is believed", name)
		}
	}
	strangers := []ed25519.PublicKey{make([]byte, 32), bytes.Repeat([]byte{1}, 32)}
	for _, t := range []client.Trust{{}, {Roster: statement.ID{1}}, {Identities: strangers}, {Identities: append(strangers, w.local.Operators[0].Identity)}} {
		if _, err := client.ReadCarried(good, t); err == nil {
			ts.Fatalf("it is believed by %+v", t)
		}
	}
}

func fieldsOf(c *carry.Case) (all []*[]byte) {
	signed := func(s []carry.Signed) {
		for i := range s {
			all = append(all, &s[i].Statement)
			for j := range s[i].Signatures {
				all = append(all, &s[i].Signatures[j])
			}
		}
	}
	signed(c.Rosters)
	signed(c.Revocations)
	signed(c.Decisions)
	for i := range c.Charters {
		all = append(all, &c.Charters[i])
	}
	for i := range c.Reshares {
		all = append(all, &c.Reshares[i])
	}
	for i := range c.Roots {
		all = append(all, &c.Roots[i].Certificate)
	}
	for i := range c.Votes {
		all = append(all, &c.Votes[i].Signature)
	}
	return append(all, &c.Vault, &c.Intent.Statement, &c.Intent.Signatures[0])
}
