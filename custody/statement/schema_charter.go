package statement

// charterFields are spec/charter's document, and where it stands in the chain of versions. Names of a kind are distinct, so what people
// know as one name stands here with its owner before it where two would have it.
var charterFields = []Spec{
	text("circle", 64, "name of the circle"),
	number("version", 0, MaxVersion, "the first is 0"),
	hexOf("previous", 32, "id of the version before; absent in version 0 alone").optional(),
	hexOf("roster", 32, "id of the roster whose operators all consent"),
	moment("created", "when it was made"),
	yesNo("drill", "whether it is for rehearsals: then delays may be seconds. No later version says otherwise"),
	label("operator", "in ascending order").times(2, MaxOperators).with(
		text("entity", 128, "legal entity"),
		hexOf("identity", 32, "the node's Ed25519 identity key"),
		yesNo("independent", "whether it is a provider that does not depend on the customer"),
		label("place", "where a copy of its share lies, in ascending order").times(1, MaxPlaces).with(
			word("level", "", "export", "paper", "replica"),
			label("organisation", "where it is another than the operator").optional(),
			text("provider", 128, "of the machine; absent on paper").optional(),
			text("account", 128, "at the provider").optional(),
			text("region", 128, "of the provider").optional(),
			text("jurisdiction", 2, "ISO 3166-1 alpha-2, lower case"),
			text("hardware", 128, "its vendor").optional(),
			label("access", "person who can reach it, in ascending order").times(1, MaxAccess),
		),
	),
	label("person", "in ascending order").times(1, MaxPeople).with(
		label("person-organisation", ""),
		personKey("key", "in ascending order").times(1, MaxKeys),
		moment("keys-expire", "from then on the keys count for nothing").optional(),
	),
	label("group", "of people, in ascending order").times(0, MaxGroups).with(
		label("member", "person, in ascending order").times(1, MaxPeople),
		moment("group-expires", "from then on it counts as empty").optional(),
	),
	label("guardian", "in ascending order").times(0, MaxGuardians).with(
		label("guardian-person", ""),
		label("guardian-organisation", ""),
		text("guardian-jurisdiction", 2, "ISO 3166-1 alpha-2, lower case").optional(),
		text("card", maxCard, "its public keys (spec/guardian 1.4)").optional(),
	),
	label("asset", "in ascending order").times(0, MaxAssets).with(
		chain("asset-chain", ""),
		text("contract", 128, "absent for the chain's own asset").optional(),
		number("decimals", 0, 36, "of people's unit"),
		number("unit", 0, 36, "policy counts in 10^unit of the smallest"),
		text("allowance", 77, "of an ERC-20 token: the largest allowance that is no unlimited one, in its smallest unit, decimal").optional(),
		word("standard", "of a collection", "erc1155", "erc721").optional(),
	),
	label("payee", "in ascending order").times(0, MaxPayees).with(
		chain("payee-chain", ""),
		text("address", 128, "as the chain writes it"),
		label("label", "in ascending order").times(0, MaxLabels),
		moment("payee-expires", "from then on it is no payee").optional(),
	),
	label("vault", "in ascending order").times(1, MaxVaults).with(
		word("tier", "", "cold", "hot", "warm"),
		suite("one root key each, in ascending order").times(1, len(suites)),
		number("threshold", 2, MaxOperators, "operators needed to sign, at most the committee"),
		label("committee", "operator, in ascending order").times(2, MaxOperators),
		label("initiators", "group of people who may propose, in ascending order").times(1, MaxGroups),
		label("approvers", "group of people who may approve, in ascending order").times(1, MaxGroups),
		number("quorum", 1, MaxPeople, "approvers needed, each counted once"),
		number("organisations", 1, MaxPeople, "different organisations that they must be of, at least"),
		yesNo("initiator-approves", "whether who proposed may count among the approvers"),
		yesNo("user-verification", "whether an approval counts only if its device checked who touched it"),
		chain("chain", "that the vault may sign for, in ascending order").times(1, 64),
		number("expiry", 60, MaxExpiry, "seconds that an intent lives unless it says otherwise"),
		number("refresh-every", MinRefresh, MaxRefresh, "seconds after which the nodes make new shares by themselves; never where it is absent").optional(),
		word("publish", "everybody is shown what is asked, approved, decided and signed; absent: auditors alone", "yes").optional(),
		number("witnesses", 1, MaxOperators-1, "other operators that must have cosigned the log with a node's decision before it signs").optional(),
		number("hold-release", MinHold, MaxHold, "seconds that fewer than t operators must have run a release before t may sign with it").optional(),
		hexOf("recovery-key", 32, "x-only: it alone spends a Taproot coin that lay still").optional(),
		number("recovery-blocks", 1, MaxRecovery, "for so many blocks from the coin's own").optional(),
		chain("delayed", "where a Safe of the vault's has a Delay module, in ascending order").times(0, MaxDelayed).with(
			text("delayed-safe", 42, "its address"),
			text("delayed-module", 42, "the module's"),
			text("delayed-key", 42, "address that queues through it"),
			number("cooldown", 3600, MaxDelay, "seconds in which the vault strikes out what was queued"),
			number("expiration", 3600, MaxDelay, "seconds after the cooldown in which it can be carried out"),
		),
		number("rescue-operators", 1, MaxOperators, "r: live operators that SOS needs; absent: there is no SOS").optional(),
		number("rescue-guardians", 2, MaxGuardians, "k: guardians that it needs besides").optional(),
		word("trigger", "on which a rescue begins, in ascending order; where there is none there is no plan, and nothing of what follows", "below-threshold", "compromise", "legal", "refusal", "silence").times(0, 5).with(
			number("after", 1, MaxDelay, "seconds that silence or refusal lasted; absent for others").optional(),
			number("trigger-delay", 1, MaxDelay, "seconds between declaration and ACTIVE"),
		),
		number("starters", 2, MaxGuardians, "guardians that declare; rescue-guardians at least").optional(),
		number("starter-organisations", 1, MaxGuardians, "of which they are, at least").optional(),
		number("window", 1, MaxWindow, "seconds that ACTIVE lasts").optional(),
		number("lock-up", 1, MaxDelay, "seconds after ACTIVE in which nothing leaves").optional(),
		number("drill-every", 60, MaxRefresh, "seconds after which a guardian's drill is overdue").optional(),
		label("successor", "operator that may sit in the new committee beside those who are left, in ascending order").times(0, MaxOperators),
		number("least-threshold", 2, MaxOperators, "the lowest that the new committee may have").optional(),
		chain("height-chain", "whose height must advance during the delay too").optional().with(
			number("blocks", 1, MaxBlocks, "by so many"),
		),
		label("destination", "rescue address, in ascending order").times(0, MaxDestinations).with(
			chain("destination-chain", ""),
			text("destination-address", 128, "as the chain writes it"),
			label("destination-vault", "of this charter, whose address it is").optional(),
		),
		label("cap", "asset, in ascending order").times(0, MaxAssets).with(
			number("cap-most", 1, maxInt, "policy units that all sweeps of one rescue move"),
		),
		label("call", "protective call, in ascending order").times(0, MaxCalls).with(
			chain("call-chain", ""),
			text("call-to", 128, "the contract"),
			Spec{Name: "call-data", Type: Hex, Min: 4, Max: MaxCallData, Least: 1, Most: 1, Doc: "exactly what is called"},
			number("call-times", 1, MaxTimes, "that it is made at most, in one rescue"),
		),
		label("tranche", "asset, in ascending order").times(0, MaxAssets).with(
			number("tranche-most", 1, maxInt, "policy units that may leave in each period after the lock-up"),
			number("tranche-every", 1, MaxDelay, "seconds of a period"),
			number("tranche-count", 1, MaxTranches, "periods; afterwards everything may leave"),
		),
	),
	chain("network", "a chain that differs from the common rules, in ascending order").times(0, MaxContracts).with(
		word("no-eip1559", "it has no dynamic fees", "yes").optional(),
		word("set-code", "accounts may become code there (EIP-7702)", "yes").optional(),
		word("access-lists", "EIP-2930's lists may stand in transactions", "yes").optional(),
		text("data-fee", 39, "what one transaction may cost beside its gas, in the chain's smallest unit, decimal").optional(),
		number("fee-rate", 1, MaxFeeRate, "on Bitcoin: satoshis per virtual byte that a transaction may pay").optional(),
	),
	label("evm-contract", "that vaults may call, in ascending order").times(0, MaxContracts).with(
		chain("contract-chain", ""),
		text("contract-address", 128, ""),
		text("function", MaxDeclaration, "as Solidity declares it, in ascending order").times(0, MaxFunctions),
		text("delegate", MaxDeclaration, "that a Safe of the vault's may run as itself, in ascending order").times(0, MaxFunctions),
	),
	label("typed-data", "a type of EIP-712 that vaults may sign, in ascending order").times(0, MaxContracts).with(
		chain("typed-chain", ""),
		text("typed-contract", 128, "verifyingContract of its domain"),
		text("domain-name", 128, "").optional(),
		text("domain-version", 128, "").optional(),
		hexOf("domain-salt", 32, "").optional(),
		text("type", MaxDeclaration, "encodeType of the message"),
	),
	label("code", "a contract that an account may become, in ascending order").times(0, MaxContracts).with(
		chain("code-chain", ""),
		text("code-address", 128, "zero takes the account's code away"),
	),
	label("attest", "operator whose node must show what it runs on, in ascending order").times(0, MaxOperators).with(
		number("attest-fresh", MinFresh, MaxFresh, "seconds that its evidence counts"),
		word("attest-kind", "of hardware, in ascending order: one of them suffices", "nitro", "sev-snp", "tdx", "tpm2").times(1, 4).with(
			label("measurement", "that is allowed, in ascending order").times(1, MaxMeasurements).with(
				text("measured", MaxMeasured, "what runs, as the kind writes it (spec/attest 9)"),
			),
			hexOf("attest-root", 32, "SHA-256 of a certificate that may vouch for the hardware, beside those that the program carries, in ascending order").times(0, MaxRoots),
			text("attest-floor", 128, "the lowest firmware that counts, as the kind writes it").optional(),
		),
	),
	text("policy", MaxPolicyLine, "one line of the rules in Cedar after `|`").times(0, MaxPolicyLines),
	word("control", "a control rule beyond the defaults", "halt", "lose", "spend", "steal").times(0, MaxControl).with(
		label("control-kind", "of domain"),
		number("control-least", 1, 64, ""),
	),
	number("independent-providers", 1, MaxOperators, "in the committee of each vault"),
	number("delay", 0, MaxDelay, "seconds before what is looser takes effect; 3600 at least but for drills"),
	number("list-delay", 0, MaxDelay, "seconds before a new payee counts; as delay"),
	number("heartbeat", 60, 86400, "seconds between signs of life of a node"),
	text("offset", 6, "hours and minutes from UTC of the policy's hours: `+01:00`"),
}

var vetoFields = []Spec{
	hexOf("charter", 32, "id of the version that its operator does not want"),
	label("operator", "that takes its consent back"),
	text("reason", 512, "").optional(),
	moment("created", "when it was made"),
}

var revokeFields = []Spec{
	hexOf("charter", 32, "id of a version that lists the key"),
	label("person", "whose key ends"),
	personKey("key", ""),
	text("reason", 512, "").optional(),
	moment("created", "when it was made"),
}

var freezeFields = []Spec{
	hexOf("charter", 32, "id of the charter in force when it is made"),
	hexOf("vault", 32, "id of the vault statement"),
	label("operator", "that freezes it"),
	text("reason", 512, "").optional(),
	moment("created", "when it was made"),
	moment("expires", "from then on it freezes nothing; at most 72 hours after created"),
}

var unfreezeFields = []Spec{
	hexOf("charter", 32, "id of the charter in force when it is made"),
	hexOf("vault", 32, "id of the vault statement"),
	hexOf("freeze", 32, "id of a freeze that ends").times(1, 64),
	moment("created", "when it was made"),
}
