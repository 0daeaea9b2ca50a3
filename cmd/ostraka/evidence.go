package main

import (
	"fmt"
	"io"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/ostraka/ostraka/custody/charter"
	"github.com/ostraka/ostraka/evidence/attest"
	"github.com/ostraka/ostraka/evidence/places"
)

// evidenceFlags are what `control evidence` is told beside the documents.
type evidenceFlags struct {
	charter, operator, place string
	signature, roots, keys   string
	at                       string
}

func (a *app) controlEvidenceCommand() *cobra.Command {
	var f evidenceFlags
	c := &cobra.Command{
		Use: "evidence [FILE...]", Short: "Read documents that a cloud signed for a node's machine, and compare them with the charter",
		Long: "Each FILE is a document that AWS, Google Cloud or Azure signs for an instance. It is verified offline and compared with what the charter says of\n" +
			"the operator's place. Without FILE: what the operator has to ask its cloud for, so that the document names its node.\n" +
			"Exit code 4: a document does not hold, or the charter says otherwise.",
		Example: "  ostraka control evidence --charter our --operator acme\n  ostraka control evidence aws.rsa2048 --charter our --operator acme --place main",
		Args: func(c *cobra.Command, _ []string) error {
			if dir := c.Flag("dir"); dir != nil && dir.Changed {
				return usage("`%s` reads no node's data folder, which --dir names: name the charter's folder with --charter", c.CommandPath())
			}
			return nil
		},
	}
	c.Flags().StringVar(&f.charter, "charter", ".", "folder of the charter")
	c.Flags().StringVar(&f.operator, "operator", "", "whose node it is (default: nobody's; then nothing is compared)")
	c.Flags().StringVar(&f.place, "place", "", "place of the operator in the charter (default: its only replica)")
	c.Flags().StringVar(&f.signature, "signature", "", "AWS: signature that stands beside the document, in base64")
	c.Flags().StringVar(&f.roots, "roots", "", "file of certificates beyond those in this program: AWS by region, Azure in PEM")
	c.Flags().StringVar(&f.keys, "keys", "", "Google: file with its keys of the token's day (https://www.googleapis.com/oauth2/v3/certs)")
	c.Flags().StringVar(&f.at, "at", "", "judge as of this time, such as 2026-11-27T12:00:00Z (default: now)")
	c.RunE = func(_ *cobra.Command, args []string) error { return a.evidence(f, args) }
	return c
}

func (a *app) evidence(f evidenceFlags, files []string) error {
	now := time.Now().UTC()
	if f.at != "" {
		var err error
		if now, err = time.Parse(time.RFC3339, f.at); err != nil {
			return usage("--at %q is no time such as 2026-11-27T12:00:00Z", f.at)
		}
	}
	if f.signature != "" && len(files) != 1 {
		return usage("--signature belongs to one document: give one FILE")
	}
	if f.operator == "" && (f.place != "" || len(files) == 0) {
		return usage("name the operator: --operator NAME")
	}
	var about attest.Subject
	var place charter.Place
	if f.operator != "" {
		var err error
		if about, place, err = subjectOf(f); err != nil {
			return err
		}
	}
	if len(files) == 0 {
		return a.showWanted(about)
	}
	docs := []evidenceDocument{}
	var differs []string
	for _, name := range files {
		claim, err := readEvidence(name, f, about, now)
		if err != nil {
			return err
		}
		doc := evidenceOf(name, claim, now)
		if f.operator != "" {
			doc.compare(about, claim, place)
		}
		docs = append(docs, doc)
		if len(doc.Differ) > 0 {
			differs = append(differs, fmt.Sprintf("%s: %s", name, strings.Join(doc.Differ, ", ")))
		}
	}
	err := a.show(struct {
		Documents []evidenceDocument `json:"documents"`
	}{docs}, func(w io.Writer) {
		for _, d := range docs {
			d.print(w)
		}
	})
	if err == nil && len(differs) > 0 {
		err = unverified("ask the operator which is right: the charter, or the machine", "the charter says otherwise of %s/%s than %s", about.Operator, about.Place, strings.Join(differs, "; "))
	}
	return err
}

// subjectOf finds the place that documents are about: the one that is named, or the only replica.
func subjectOf(f evidenceFlags) (about attest.Subject, place charter.Place, err error) {
	d, err := readCharter(f.charter)
	if err != nil {
		return about, place, err
	}
	o, ok := d.Station(f.operator)
	if !ok {
		return about, place, usage("operator %q is not in the charter", f.operator)
	}
	var machines []string
	for _, p := range o.Places {
		if p.Provider == "" { // paper
			continue
		}
		machines = append(machines, p.Name)
		if p.Name == f.place || f.place == "" && p.Level == charter.Replica {
			place = p
		}
	}
	replicas := slices.DeleteFunc(slices.Clone(o.Places), func(p charter.Place) bool { return p.Level != charter.Replica })
	switch {
	case f.place == "" && len(replicas) != 1:
		return about, place, usage("%s has %d replicas; say which place: --place %s", f.operator, len(replicas), strings.Join(machines, " | "))
	case place.Name == "":
		return about, place, usage("%s has no machine at a place %q; it has: %s", f.operator, f.place, strings.Join(machines, ", "))
	}
	return attest.Subject{Node: o.Identity, Operator: o.Name, Place: place.Name}, place, nil
}

// readEvidence reads and verifies one document.
func readEvidence(name string, f evidenceFlags, about attest.Subject, now time.Time) (attest.Claim, error) {
	document, err := readBounded(name, places.MaxFile)
	if err != nil {
		return attest.Claim{}, err
	}
	if f.keys == "" && attest.Provider(document) == "gcp" {
		return attest.Claim{}, usage("%s is a token of Google's: give its keys of the token's day with --keys FILE", name)
	}
	trusted, err := trust(f.keys, f.roots)
	if err != nil {
		return attest.Claim{}, err
	}
	var signature []byte
	if f.signature != "" {
		if signature, err = readBounded(f.signature, places.MaxFile); err != nil {
			return attest.Claim{}, err
		}
	}
	claim, err := trusted.Verify(document, signature, about, now)
	if err != nil {
		return claim, unverified("do not rely on it: fetch a fresh one as docs/charter.md says; --roots and --keys take what this program does not know", "%s: %w", name, err)
	}
	return claim, nil
}

// trust is what this program carries, and files of keys and certificates that the reader fetched; no name is no file.
func trust(keys, roots string) (places.Trust, error) {
	t, err := places.Pinned()
	if err != nil {
		return t, err
	}
	if t.Keys, err = fromFile(keys, attest.MaxKeys, attest.ReadKeys); err != nil {
		return t, err
	}
	_, err = fromFile(roots, attest.MaxRoots, func(b []byte) (struct{}, error) {
		regions, authorities, err := places.ReadRoots(b)
		t.Regions, t.Authorities = t.Regions.With(regions), t.Authorities.With(authorities)
		return struct{}{}, err
	})
	return t, err
}

// fromFile reads a file of certificates or keys; no name is no file.
func fromFile[T any](name string, most int64, read func([]byte) (T, error)) (out T, err error) {
	if name == "" {
		return out, nil
	}
	b, err := readBounded(name, most)
	if err != nil {
		return out, err
	}
	if out, err = read(b); err != nil {
		return out, fmt.Errorf("%s: %w", name, err)
	}
	return out, nil
}

// showWanted says what makes a document name the node.
func (a *app) showWanted(about attest.Subject) error {
	doc := struct {
		Operator string `json:"operator"`
		Place    string `json:"place"`
		Nonce    string `json:"nonce"`
		Audience string `json:"audience"`
	}{about.Operator, about.Place, about.Nonce(), about.Audience()}
	return a.show(doc, func(w io.Writer) {
		fmt.Fprintf(w, "For %s/%s, on its machine. What names the node is public; a document serves no other node.\n", doc.Operator, doc.Place)
		fmt.Fprintf(w, "Google Cloud:\n  curl -H 'Metadata-Flavor: Google' 'http://metadata.google.internal/computeMetadata/v1/instance/service-accounts/default/identity?format=full&audience=%s' > gcp.token\n", doc.Audience)
		fmt.Fprintf(w, "  curl https://www.googleapis.com/oauth2/v3/certs > gcp.keys\n")
		fmt.Fprintf(w, "Azure:\n  curl -H 'Metadata: true' --noproxy '*' 'http://169.254.169.254/metadata/attested/document?api-version=2021-02-01&nonce=%s' > azure.json\n", doc.Nonce)
		fmt.Fprintf(w, "AWS (its documents cannot name a node: the claim stays declared):\n")
		fmt.Fprintf(w, "  TOKEN=$(curl -X PUT -H 'X-aws-ec2-metadata-token-ttl-seconds: 60' http://169.254.169.254/latest/api/token)\n")
		fmt.Fprintf(w, "  curl -H \"X-aws-ec2-metadata-token: $TOKEN\" http://169.254.169.254/latest/dynamic/instance-identity/rsa2048 > aws.rsa2048\n")
	})
}

type evidenceDocument struct {
	File     string   `json:"file"`
	Class    string   `json:"class"`
	Bound    bool     `json:"bound"`
	AsOf     string   `json:"as_of"`
	Provider string   `json:"provider"`
	Account  string   `json:"account"`
	Also     string   `json:"account_number,omitempty"`
	Region   string   `json:"region,omitempty"`
	Zone     string   `json:"zone,omitempty"`
	Instance string   `json:"instance"`
	Machine  string   `json:"machine,omitempty"`
	Image    string   `json:"image,omitempty"`
	Started  string   `json:"started,omitempty"`
	Issued   string   `json:"issued,omitempty"`
	Expires  string   `json:"expires,omitempty"`
	Place    string   `json:"place,omitempty"`
	Agree    []string `json:"agree"`
	Differ   []string `json:"differ"`
	Notes    []string `json:"notes"`

	stated map[string]string // of the charter, where something was compared
}

func evidenceOf(file string, c attest.Claim, now time.Time) evidenceDocument {
	when := func(t time.Time) string {
		if t.IsZero() {
			return ""
		}
		return t.UTC().Format(time.RFC3339)
	}
	return evidenceDocument{
		File: file, Class: c.Class().String(), Bound: c.Bound, AsOf: when(now), Provider: c.Provider, Account: c.Account, Also: c.Also, Region: c.Region, Zone: c.Zone,
		Instance: c.Instance, Machine: c.Machine, Image: c.Image, Started: when(c.Started), Issued: when(c.Issued), Expires: when(c.Expires),
		Agree: []string{}, Differ: []string{}, Notes: c.Notes,
	}
}

func (d *evidenceDocument) compare(about attest.Subject, c attest.Claim, p charter.Place) {
	agree, differ := c.Match(attest.Place{Provider: p.Provider, Account: p.Account, Region: p.Region})
	d.Place, d.Agree, d.Differ = about.Operator+"/"+about.Place, append(d.Agree, agree...), append(d.Differ, differ...)
	d.stated = map[string]string{attest.FieldProvider: p.Provider, attest.FieldAccount: p.Account, attest.FieldRegion: p.Region}
}

func (d evidenceDocument) print(w io.Writer) {
	fmt.Fprintf(w, "%s: signed by %s, verified as of %s\n", d.File, d.Provider, d.AsOf)
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	account := d.Account
	if d.Also != "" {
		account += " (" + d.Also + ")"
	}
	for _, row := range [][2]string{
		{attest.FieldProvider, d.Provider}, {attest.FieldAccount, account}, {attest.FieldRegion, d.Region}, {"zone", d.Zone}, {"instance", d.Instance}, {"machine", d.Machine}, {"image", d.Image},
		{"started", d.Started}, {"signed", d.Issued}, {"expires", d.Expires}, {"class", d.Class},
	} {
		name, value := row[0], row[1]
		if value == "" {
			continue
		}
		fmt.Fprintf(t, "  %s\t%s", name, value)
		switch {
		case slices.Contains(d.Agree, name):
			fmt.Fprintf(t, "\tas the charter says of %s", d.Place)
		case slices.Contains(d.Differ, name):
			fmt.Fprintf(t, "\tthe charter says of %s: %s", d.Place, d.stated[name])
		}
		fmt.Fprintln(t)
	}
	t.Flush()
	for _, note := range d.Notes {
		fmt.Fprintf(w, "  note: %s\n", note)
	}
	fmt.Fprintf(w, "  note: country, hardware and access stay declared: no such document speaks of them\n")
}
