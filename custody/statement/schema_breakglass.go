package statement

// What people sign before a key is rebuilt without any node, and what is published afterwards (spec/breakglass).
const (
	Breakglass     Kind = "breakglass"      // custody of a vault's keys ends: one holder will have them whole
	BreakglassDone Kind = "breakglass-done" // and ended: nobody signs it; the keys themselves prove it
)

// Bounds of both kinds.
const (
	MaxWitnesses    = 16
	MaxOutputs      = 16 // recipients of the file with the keys
	MaxPieces       = MaxOperators + MaxGuardians
	maxAgeRecipient = 2048 // bytes: a post-quantum recipient of age has about 1960
)

func rebuilt(more ...Spec) Spec {
	return suite("root keys, in ascending order").times(1, len(suites)).with(more...)
}

var breakglassFields = []Spec{
	text("circle", 64, "name of the circle"),
	hexOf("charter", 32, "digest of the charter whose people witness this (spec/breakglass 2.2)"),
	label("vault", "as the charter has it"),
	rebuilt(
		hexOf("key", 32, "keyID"),
		number("number", 0, 1<<62, "of the epoch"),
		hexOf("epoch", 32, "hash of the epoch record: every piece must be of it"),
	),
	text("holder", 256, "the one person or firm that will have the keys whole"),
	text("reason", 1024, "why no node can do it"),
	word("output", "how the keys are written", "encrypted", "plain"),
	text("recipient", maxAgeRecipient, "age recipient of the file with the keys; for output encrypted alone").times(0, MaxOutputs),
	moment("created", "when it was made; it serves for 7 days"),
}

var breakglassDoneFields = []Spec{
	hexOf("breakglass", 32, "id of the breakglass statement"),
	label("witness", "person of the charter, in ascending order").times(2, MaxWitnesses).with(
		label("organisation", "that the charter names for them"),
		personKey("person", "key under which they signed"),
	),
	rebuilt(
		hexOf("key", 32, "keyID"),
		hexOf("epoch", 32, "hash of the epoch record"),
		Spec{Name: "public-key", Type: Hex, Min: 32, Max: 33, Least: 1, Most: 1, Doc: "the suite's point: secp256k1 compressed, 33 bytes; Ed25519, 32 bytes"},
		text("piece", 256, "what it was rebuilt from: share, mask or value, and whose").times(2, MaxPieces),
		Spec{Name: "proof", Type: Hex, Min: 64, Max: 65, Least: 1, Most: 1, Doc: "of knowledge of the private key (spec/breakglass 4.3)"},
	),
	hexOf("file", 32, "SHA-256 of the file with the keys, as it was written"),
	moment("created", "when the keys were rebuilt"),
}

// breakglassFieldsOf are those of both kinds, nil for others.
func breakglassFieldsOf(k Kind) []Spec {
	switch k {
	case Breakglass:
		return breakglassFields
	case BreakglassDone:
		return breakglassDoneFields
	}
	return nil
}
