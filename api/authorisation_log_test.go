package api

import (
	"bytes"
	"crypto/ed25519"
	"encoding/base64"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/ostraka/ostraka/evidence/tlog"
	"github.com/ostraka/ostraka/node"
)

// openCall is one thing that is asked for at a route that takes no token.
type openCall struct {
	asks, method string
	paths        []string
	body         []byte
	holds        []byte // what the last answer holds, if it is not hidden
}

// openCalls are those of each route.
func (f *published) openCalls() map[string][]openCall {
	f.t.Helper()
	h := f.w.Hosts[0]
	signed, head, _ := h.Witness.Checkpoint()
	last := tlog.Tile{Level: tlog.Entries, Index: head.Size / 256, Width: int(head.Size % 256)}
	beyond := last
	beyond.Width++
	var bodies []string
	for tile := range tlog.Tiles(0, head.Size) {
		if tile.Level == tlog.Entries {
			bodies = append(bodies, tile.BodyPath())
		}
	}
	key := ed25519.NewKeyFromSeed(bytes.Repeat([]byte{7}, 32))
	signer, err := tlog.NewLogSigner("log.example/unknown", key)
	if err != nil {
		f.t.Fatal(err)
	}
	foreign, err := tlog.Checkpoint{Origin: "log.example/unknown", Head: head}.Sign(signer)
	if err != nil {
		f.t.Fatal(err)
	}
	request := func(checkpoint []byte) []byte { return tlog.Request{Old: head.Size, Checkpoint: checkpoint}.Encode() }
	other, _, _ := f.w.Hosts[1].Witness.Checkpoint()
	known, err := tlog.ParseCheckpoint(other[:bytes.Index(other, []byte("\n\n"))+1])
	if err != nil {
		f.t.Fatal(err)
	}
	return map[string][]openCall{
		routeLog: {
			{"GET: checkpoint, keys, tiles", "GET", []string{tlog.PathKeys, "tile/0/000.p/2", last.Path(), tlog.PathCheckpoint}, nil, signed},
			{"GET: an intent of an open vault", "GET", bodies, nil, f.open.Bytes()},
			{"GET: an intent of another vault", "GET", bodies, nil, f.shut.Bytes()},
			{"GET: leaves beyond the checkpoint", "GET", []string{beyond.Path()}, nil, nil},
			{"POST", "POST", []string{tlog.PathCheckpoint}, nil, nil},
		},
		routeWitness: {
			{"POST: of a log of the circle", "POST", []string{""}, tlog.Request{Old: known.Head.Size, Checkpoint: other}.Encode(), []byte("\u2014 ostraka.witness/")},
			{"POST: of another log", "POST", []string{""}, request(foreign), nil},
			{"GET", "GET", []string{""}, nil, nil},
		},
	}
}

// code is what a door answers: "ok", "hidden", or a status.
func (c openCall) code(t *testing.T, d door, route, token string) string {
	t.Helper()
	var all []byte
	for _, path := range c.paths {
		req, err := http.NewRequest(c.method, d.url+route+path, bytes.NewReader(c.body))
		if err != nil {
			t.Fatal(err)
		}
		if token != "" {
			req.Header.Set("Authorization", "Bearer "+token)
		}
		resp, err := d.web.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		b, err := io.ReadAll(resp.Body)
		if err != nil {
			t.Fatal(err)
		}
		if resp.StatusCode != 200 {
			return fmt.Sprint(resp.StatusCode)
		}
		all = append(all, b...)
	}
	if !bytes.Contains(all, c.holds) {
		return "hidden"
	}
	return "ok"
}

// Whoever asks is shown the same at the routes that take no token, and nothing at the operator's socket.
func TestAuthorisationOfEverybody(t *testing.T) {
	f := newPublished(t)
	p := readPage(t, "9. Everybody's")
	calls, h := f.openCalls(), f.w.Hosts[0]
	socket := knock(t, inner(&operator{views: &views{&node.Daemon{Node: h.Node, Started: f.w.Now, Key: h.Key}}}))
	tokens := map[string]string{
		"network, no token": "", "network, made up": base64.RawURLEncoding.EncodeToString(make([]byte, 32)),
		"network, initiator": f.token(0, "ines"), "network, its own officer": f.token(0, "officer-0"),
	}
	for _, route := range sortedKeys(forAll(f.people[0])) {
		if len(calls[route]) == 0 {
			t.Errorf("%s: this test does not know how to call it", route)
		}
		for _, c := range calls[route] {
			row := route + ", " + c.asks
			for _, column := range sortedKeys(tokens) {
				p.expect(row, column, c.code(t, f.doors[0], route, tokens[column]), "")
			}
			p.expect(row, "socket", c.code(t, socket, route, ""), "")
		}
	}
	p.done()
	if !strings.HasPrefix(string(f.shut.Bytes()), "ostraka/1 intent") {
		t.Error("what is looked for is no intent")
	}
}
