package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"filippo.io/age"

	"github.com/ostraka/ostraka/client/appeal"
	"github.com/ostraka/ostraka/client/appealtest"
	"github.com/ostraka/ostraka/client/carry"
	"github.com/ostraka/ostraka/custody/guardian"
	"github.com/ostraka/ostraka/custody/sos"
	"github.com/ostraka/ostraka/custody/statement"
)

// answeringKey writes a guardian's key file, and what opens it.
func answeringKey(t *testing.T, dir, name string, k guardian.Key) (file, identity string) {
	t.Helper()
	id, err := age.GenerateX25519Identity()
	if err != nil {
		t.Fatal(err)
	}
	sealed, err := sealGuardian(k, []age.Recipient{id.Recipient()})
	if err != nil {
		t.Fatal(err)
	}
	file, identity = filepath.Join(dir, name+".age"), filepath.Join(dir, name+".txt")
	for path, raw := range map[string][]byte{file: sealed, identity: []byte(id.String() + "\n")} {
		if err := os.WriteFile(path, raw, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return file, identity
}

// A guardian without a network looks at a request early, is told to wait, contributes once in time, is given the same bytes again, and is refused all else.
func TestGuardianAnswersOffline(t *testing.T) {
	dir := alone(t)
	made := time.Now().Add(-time.Hour)
	v := appealtest.New(t, made)
	write := func(name string, f carry.Appeal) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, f.Bytes(), 0o644); err != nil {
			t.Fatal(err)
		}
		return path
	}
	key, identity := answeringKey(t, dir, "guardian", v.Guardian(1))
	out := filepath.Join(dir, "guardian-1.contribution")
	early, whole := write("early.appeal", v.File()), write("whole.appeal", v.File(v.Usual()...))
	support := func(file string, more ...string) (int, string, string) {
		return try(append([]string{"sos", "support", "--request", file, "--key", key, "-i", identity, "--out", out, "--charter", v.Charter.String(), "--yes"}, more...)...)
	}

	code, o, errs := support(early)
	want(t, "early", code, codeNotReady, o+errs, "DRILL: you are asked to help bring back vault", "legal of operator-2", `"wound up"`, v.Charter.String(), "nobody has activated it yet", "are in the file, 2 end it", "left on this clock", "is noted")
	seen := filepath.Join(key+".sos", v.Request.ID.String()+".seen")
	if raw, err := os.ReadFile(seen); err != nil || !bytes.HasPrefix(raw, []byte("20")) {
		t.Fatalf("%q, %v", raw, err)
	}
	code, o, errs = support(whole)
	want(t, "activated, before the delay is over here", code, codeNotReady, o+errs, "who will hold new ones:   operator-0, operator-1; 2 of them sign", "the nodes' window will be over at about", "left on this clock")
	if _, err := os.Stat(out); err == nil {
		t.Fatal("a contribution was written")
	}
	// It is as if the delay had gone by here.
	first := made.UTC().Truncate(time.Second)
	if err := os.WriteFile(seen, []byte(statement.FormatTime(first)+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	code, o, errs = support(early)
	want(t, "not activated", code, codeNotReady, o+errs, "have not signed an activation yet", "a newer file")

	code, o, errs = support(whole, "--json")
	want(t, "in time", code, codeDone, o+errs)
	var doc contributedDocument
	if err := json.Unmarshal([]byte(o), &doc); err != nil || doc.Guardian != "guardian-1" || len(doc.Answers) != 1 || doc.Answers[0].Again || doc.FirstSeen != statement.FormatTime(first) || doc.From != statement.FormatTime(first.Add(appealtest.Delay)) {
		t.Fatalf("%v %+v", err, doc)
	}
	info, err := os.Stat(out)
	answer, err2 := os.ReadFile(out)
	if err != nil || err2 != nil || info.Mode().Perm() != 0o600 || !carry.IsContribution(answer) {
		t.Fatalf("%v, %v, %v", info, err, err2)
	}
	code, o, errs = support(whole)
	again, err := os.ReadFile(out)
	want(t, "again", code, codeDone, o+errs, "the same as before", "sos support --send "+out)
	if err != nil || !bytes.Equal(again, answer) {
		t.Errorf("another contribution to one activation (%v)", err)
	}
	read, err := appeal.Read(v.File())
	if err != nil {
		t.Fatal(err)
	}
	usual, active := v.Usual(), first.Add(3*time.Minute)
	code, o, errs = support(write("active.appeal", v.File(append(usual, v.Step(0, sos.Active.String(), active), v.Step(1, sos.Active.String(), active.Add(time.Minute)))...)))
	want(t, "active", code, codeDone, o+errs, "the nodes' window is over at "+statement.FormatTime(active.Add(read.Plan.Window)))
	answerRefuses(t, v, dir, key, out, whole, support, write)
}

func answerRefuses(t *testing.T, v *appealtest.Vault, dir, key, out, whole string, support func(string, ...string) (int, string, string), write func(string, carry.Appeal) string) {
	usual := v.Usual()
	code, o, errs := support(write("vetoed.appeal", v.File(append(usual, v.Veto(0), v.Veto(2))...)))
	want(t, "vetoed", code, codeRefused, o+errs, "veto of guardian-0", "contribute nothing")
	code, o, errs = support(write("own.appeal", v.File(append(usual, v.Veto(1))...)))
	want(t, "own veto", code, codeRefused, o+errs, "you vetoed it yourself")
	late := time.Now()
	code, o, errs = support(write("late.appeal", v.File(usual[0], usual[1], v.Step(1, sos.Contest.String(), late))))
	want(t, "a contributor's delay is not over", code, codeNotReady, o+errs, "left on this clock")
	code, o, errs = support(write("ahead.appeal", v.File(usual[0], usual[1], v.Step(1, sos.Contest.String(), late.Add(7*24*time.Hour)))))
	want(t, "a contributor dates its step a week ahead", code, codeDone, o+errs, "Contribution of guardian-1", "not yet    operator-1 says that its delay began at", "it counts for nothing")
	raw, err := os.ReadFile(whole)
	if err != nil {
		t.Fatal(err)
	}
	raw[len(raw)/2] ^= 1
	spoilt := filepath.Join(dir, "spoilt.appeal")
	if err := os.WriteFile(spoilt, raw, 0o644); err != nil {
		t.Fatal(err)
	}
	code, o, errs = support(spoilt)
	want(t, "altered on its way", code, codeUnverified, o+errs, "is a damaged appeal", "altered or cut off", "contribute to nothing of it")
	code, o, errs = support(whole, "--charter", strings.Repeat("0", 64))
	want(t, "another charter", code, codeUnverified, o+errs, "is not the one that you were told")
	code, o, errs = support(whole, "--charter", "12345678")
	want(t, "half an id", code, codeUsage, o+errs, "--charter")
	code, o, errs = support(whole, "--charter", "")
	want(t, "nobody compares", code, codeUsage, o+errs, "give --charter ID")
	code, o, errs = support(whole, "--yes=false")
	want(t, "nobody is there", code, codeUsage, o+errs, "nobody is at the terminal")
	code, o, errs = support(whole, "--as", "guardian-2")
	want(t, "another's name", code, codeUsage, o+errs, "is guardian-1's")
	code, o, errs = support(whole, "--out", key)
	want(t, "over the key", code, codeError, o+errs, "it is not written over")
	other, identity := answeringKey(t, dir, "stranger", v.Guardian(7))
	at := filepath.Join(other+".sos", v.Request.ID.String()+".seen")
	if err := os.Mkdir(filepath.Dir(at), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(at, fmt.Appendf(nil, "%s\n", statement.FormatTime(v.Made)), 0o600); err != nil {
		t.Fatal(err)
	}
	code, o, errs = support(whole, "--key", other, "-i", identity, "--out", filepath.Join(dir, "x"))
	want(t, "a stranger's key", code, codeRefused, o+errs, "no guardian's of this vault")
	for _, c := range []struct {
		args []string
		want string
	}{
		{[]string{"sos", "support"}, "give the id of a request"},
		{[]string{"sos", "support", "12345678", "--request", whole}, "give the id of a request"},
		{[]string{"sos", "support", "12345678", "--out", out}, "belong to --request"},
		{[]string{"sos", "support", "--request", whole, "--out", out}, "--key FILE"},
		{[]string{"sos", "support", "--request", whole, "--key", key}, "--out FILE"},
		{[]string{"sos", "support", "--request", whole, "--key", out, "--out", out}, "is a guardian's contribution, and `ostraka sos support --key` wants a guardian's key file"},
		{[]string{"sos", "appeal", "12345678"}, "--out FILE"},
		{[]string{"sos", "activate", "treasury", "--threshold", "99"}, "--threshold"},
	} {
		code, o, errs := try(c.args...)
		want(t, strings.Join(c.args, " "), code, codeUsage, o+errs, c.want)
	}
	code, o, errs = try("sos", "support", "--send", whole)
	want(t, "no contribution", code, codeUsage, o+errs, "is an appeal, and `ostraka sos support --send` wants a guardian's contribution")
}
