package main

import (
	"strings"
	"testing"
)

// What doctor makes of the members of a store: an endpoint that nobody answers at is no member.
func TestCheckMembers(t *testing.T) {
	well := func(name string) storeMemberDocument {
		return storeMemberDocument{Name: name, Endpoint: "https://" + name + ":2379", Quota: 100}
	}
	away := storeMemberDocument{Name: "c", Error: "none of the settings' endpoints reaches it"}
	nobody := storeMemberDocument{Endpoint: "https://old:2379", Error: "connection refused"}
	for name, c := range map[string]struct {
		members []storeMemberDocument
		fails   bool
		says    []string
	}{
		"all are well":            {[]storeMemberDocument{well("a"), well("b"), well("c")}, false, nil},
		"one is away":             {[]storeMemberDocument{well("a"), well("b"), {Name: "c", Endpoint: "https://c:2379", Error: "connection refused"}}, false, []string{"c: connection refused"}},
		"one has another address": {[]storeMemberDocument{nobody, well("a"), well("b"), away}, false, []string{"no member answers at https://old:2379", "put the new one's address into node.json (store, etcd, endpoints)"}},
		"no majority":             {[]storeMemberDocument{well("a"), away, {Name: "b", Endpoint: "https://b:2379", Error: "no"}}, true, []string{"1 of 3 members are well"}},
	} {
		var text strings.Builder
		fails := false
		for _, x := range checkMembers(c.members) {
			text.WriteString(x.What + "; " + x.Next + "\n")
			fails = fails || x.State == "fail"
		}
		if fails != c.fails {
			t.Errorf("%s: fails is %v:\n%s", name, fails, &text)
		}
		for _, says := range c.says {
			if !strings.Contains(text.String(), says) {
				t.Errorf("%s: want %q in\n%s", name, says, &text)
			}
		}
	}
}

// The table of replicas has a column for each thing, and nobody is behind the owner but others.
func TestReplicasTable(t *testing.T) {
	var out strings.Builder
	d := replicasDocument{Shared: true, Self: "a", Owner: "a", Replicas: []replicaDocument{
		{Name: "a", Owner: true, Link: "a:1", People: "a:2", Since: "2026-11-28T10:00:00Z", Behind: 10, Told: "2026-11-28T10:00:05Z"}, {Name: "b", Link: "b:1", People: "b:2", Behind: 3},
	}, Tenures: []tenureDocument{{"a", "2026-11-28T10:00:00Z", "resigned"}}}
	d.write(&out)
	for _, want := range []string{"REPLICA  BEHIND  SINCE", "owner      a        -", "stands by  b        3", "the one before it gave the node up"} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("want %q in\n%s", want, &out)
		}
	}
}
