package solana

// Programs whose instructions Decode understands, and the accounts that they ask for.
var (
	System                 = Key{}
	SPLToken               = key("TokenkegQfeZyiNwAJbNbGKPFXCWuBvf9Ss623VQ5DA")
	Token2022              = key("TokenzQdBNbLqP5VEhdkAS6EPFLC1PHnBqCXEpPxuEb")
	AssociatedTokenAccount = key("ATokenGPvbdGVxr1b2hvZbsiqW5xWH25efTNsLJA8knL")
	ComputeBudget          = key("ComputeBudget111111111111111111111111111111")
	Memo                   = key("MemoSq4gqABAXKb96qnH8TysNcWxMyWCqXgDLGmfcHr")

	recentBlockhashes = key("SysvarRecentB1ockHashes11111111111111111111")
	rent              = key("SysvarRent111111111111111111111111111111111")
)

// otherPrograms are refused by name.
var otherPrograms = map[Key]string{
	key("Memo1UhkJRfHyvLMcVucJwxXeuD728EqVDDwQDxFMNo"):  "Memo, version 1",
	key("Vote111111111111111111111111111111111111111"):  "Vote",
	key("Stake11111111111111111111111111111111111111"):  "Stake",
	key("Config1111111111111111111111111111111111111"):  "Config",
	key("BPFLoader1111111111111111111111111111111111"):  "BPF Loader, version 1",
	key("BPFLoader2111111111111111111111111111111111"):  "BPF Loader, version 2",
	key("BPFLoaderUpgradeab1e11111111111111111111111"):  "BPF Loader, upgradeable: it can hand a program over",
	key("LoaderV411111111111111111111111111111111111"):  "Loader, version 4",
	key("AddressLookupTab1e1111111111111111111111111"):  "Address Lookup Table",
	key("Ed25519SigVerify111111111111111111111111111"):  "Ed25519 verification",
	key("KeccakSecp256k11111111111111111111111111111"):  "Secp256k1 verification",
	key("Secp256r1SigVerify1111111111111111111111111"):  "Secp256r1 verification",
	key("ZkE1Gama1Proof11111111111111111111111111111"):  "ZK ElGamal Proof: confidential transfers",
	key("SPoo1Ku8WFXoNDMHPsrGSTSG1Y47rzgn41SLUNakuHy"):  "Stake Pool",
	key("SQDS4ep65T869zMMBKyuUq6aD6EgTu8psMjkvj52pCf"):  "Squads, version 4",
	key("SMPLecH534NA9acpos4G6x7uf3LWbCAwZQE9e8ZekMu"):  "Squads, version 3",
	key("JUP6LkbZbjS1jKKwapdHNy74zcZ3tLUZoi5QNyVTaV4"):  "Jupiter, version 6",
	key("metaqbxxUerdq28cj1RbAWkYQm3ybzjb6a8bt518x1s"):  "Metaplex Token Metadata",
	key("whirLbMiicVdio4qvUfM5KAg6Ct8VwpYzGff3uctyCc"):  "Orca Whirlpools",
	key("675kPX9MHTjS2zt1qfr1NYHuzeLXfQM9H24wFSUt1Mp8"): "Raydium AMM",
	key("namesLPneVptA9Z5rqUDD9tMTWEJwofgaYwp8cawRkX"):  "Name Service",
}

// noDestinations receive nothing that anybody gets back.
var noDestinations = map[Key]string{
	System: "the System program", SPLToken: "the Token program", Token2022: "the Token-2022 program", AssociatedTokenAccount: "the Associated Token Account program",
	ComputeBudget: "the Compute Budget program", Memo: "the Memo program", recentBlockhashes: "a sysvar", rent: "a sysvar",
	key("So11111111111111111111111111111111111111112"): "the mint of wrapped SOL",
	key("1nc1nerator11111111111111111111111111111111"): "the incinerator",
}

// key reads an address of the tables above.
func key(text string) Key {
	k, err := ParseKey(text)
	if err != nil {
		panic("solana: " + err.Error())
	}
	return k
}

func programName(k Key) string {
	switch k {
	case SPLToken:
		return "spl-token"
	case Token2022:
		return "token-2022"
	}
	return otherPrograms[k]
}

func isTokenProgram(k Key) bool { return k == SPLToken || k == Token2022 }
