package charter

import (
	"fmt"
	"slices"
	"time"

	"github.com/ostraka/ostraka/custody/form"
	"github.com/ostraka/ostraka/custody/signet"
	"github.com/ostraka/ostraka/custody/statement"
)

// MaxFile bounds a file written by a person, in bytes.
const MaxFile = 64 << 10

// ReadVault reads the file of "vault create -f FILE": a strict subset of YAML with one
// document, no anchors, aliases, tags or block texts, no unknown or repeated fields,
// plain decimal numbers. The charter and the time are the caller's. Suites named beside the file stand for those that
// it leaves out, and must be the same where it names them.
//
//	name: treasury
//	tier: warm                       # cold, warm or hot
//	suites: [ecdsa-secp256k1]        # a root key for each: bip340-secp256k1, ecdsa-secp256k1, ed25519
//	threshold: 3                     # operators needed to sign
//	committee: [acme, bolt, cora]
//	initiators:
//	  - name: alice
//	    keys: ["ssh-ed25519 AAAA… alice@laptop"]
//	approvers:
//	  - name: bob
//	    keys: ["sk-ssh-ed25519@openssh.com AAAA…"]
//	quorum: 1
//	initiator-approves: false        # may be left out: false
//	chains: ["eip155:1"]
//	expiry: 86400                    # seconds; may be left out: one day
//	refresh-every: 2592000           # seconds until the nodes make new shares by themselves; may be left out: never
func ReadVault(file []byte, suites []string, charter statement.ID, created time.Time) (Vault, error) {
	v := Vault{Charter: charter, Created: created.UTC().Truncate(time.Second), Expiry: 24 * time.Hour}
	err := form.Read(file, MaxFile, "vault", func(f *form.Map) {
		v.Name = f.Text("name")
		v.Tier = f.Text("tier")
		v.Suites = slices.Clone(suites)
		if len(suites) == 0 || f.Has("suites") {
			v.Suites = f.Texts("suites")
		}
		v.Threshold = f.Number("threshold")
		v.Committee = f.Texts("committee")
		v.Initiators = people(f, "initiators")
		v.Approvers = people(f, "approvers")
		v.Quorum = f.Number("quorum")
		if f.Has("initiator-approves") {
			v.InitiatorApproves = f.YesNo("initiator-approves")
		}
		v.Chains = f.Texts("chains")
		if f.Has("expiry") {
			v.Expiry = time.Duration(f.Number("expiry")) * time.Second
		}
		if f.Has("refresh-every") {
			v.RefreshEvery = time.Duration(f.Number("refresh-every")) * time.Second
		}
	})
	if err != nil {
		return Vault{}, fmt.Errorf("vault file: %w", err)
	}
	if len(suites) > 0 && !slices.Equal(slices.Sorted(slices.Values(suites)), slices.Sorted(slices.Values(v.Suites))) {
		return Vault{}, fmt.Errorf("vault file: suites: it names %v, beside it stand %v", v.Suites, suites)
	}
	// The statement's own table holds the form of every value: ask it, with any salt.
	v = v.sorted()
	if _, err := v.Statement(statement.Salt{}); err != nil {
		return Vault{}, fmt.Errorf("vault file: %w", err)
	}
	return v, nil
}

func people(f *form.Map, name string) []Person {
	f.Need(name)
	return form.List(f, name, func(f *form.Map) Person { return Person{Name: f.Text("name"), Keys: readSSH(f, "keys")} })
}

func readSSH(f *form.Map, name string) (out []signet.Key) {
	for _, text := range f.Texts(name) {
		k, err := signet.ParseKey(text)
		if err != nil {
			f.Fail(name, err.Error())
			return nil
		}
		out = append(out, k)
	}
	return out
}
