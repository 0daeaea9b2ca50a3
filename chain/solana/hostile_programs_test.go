package solana_test

import (
	"math"
	"slices"
	"strings"

	"github.com/ostraka/ostraka/chain/solana"
)

func createNonce(base key, seed string, account key, lamports, space uint64, owner key) in {
	return in{systemProgram, []meta{{payer, true, true}, {account, false, true}},
		join(u32(3), base[:], u64(uint64(len(seed))), []byte(seed), u64(lamports), u64(space), owner[:])}
}

func initNonce(account, authority key) in {
	return in{systemProgram, []meta{{account, false, true}, {recentSysvar, false, false}, {rentSysvar, false, false}}, join(u32(6), authority[:])}
}

func withdraw(account, to, authority key, lamports uint64) in {
	return in{systemProgram, []meta{{account, false, true}, {to, false, true}, {recentSysvar, false, false}, {rentSysvar, false, false}, {authority, true, false}}, join(u32(5), u64(lamports))}
}

func hostileNonces() []hostile {
	made := mustSeed(payer, "n")
	create := createNonce(payer, "n", made, 1447680, 80, systemProgram)
	change := func(i in, f func(*in)) in { i.accounts = slices.Clone(i.accounts); f(&i); return i }
	durable := func(name, reason string, at string, ins ...in) hostile {
		return row(name, layOut(true, payer, nonceValue, ins...), at, reason)
	}
	one, two, three := "instruction 1", "instruction 2", "instruction 3"
	pay := sendSOL(payer, wallet, 1)
	old := layOut(true, payer, oldNonce, advance(nonce, payer), pay)
	return []hostile{
		row("block that nobody knows", layOut(true, payer, public(77), pay), "blockhash", "is no recent block of "+chain),
		row("no block", layOut(true, payer, key{}, pay), "blockhash", "is no recent block"),
		row("nonce's value without its account", layOut(true, payer, nonceValue, pay), "blockhash", "is no recent block"),
		row("another nonce value", old, one, "the message names "+oldNonce.String()),
		row("a recent block beside a nonce", layOut(true, payer, block, advance(nonce, payer), pay), one, "the message names "+block.String()),
		durable("nonce is advanced last", "is no recent block", "blockhash", pay, advance(nonce, payer)),
		row("nonce is advanced second", layOut(true, payer, block, pay, advance(nonce, payer)), two, "serves as the first instruction alone"),
		durable("nonce is advanced twice", "serves as the first instruction alone", two, advance(nonce, payer), advance(nonce, payer)),
		durable("nonce of another authority", "not a nonce account of "+second.String(), one, advance(nonce, second), pay),
		durable("nonce account that is a wallet", "not a nonce account", one, advance(wallet, payer), pay),
		durable("nonce with another sysvar", "not the sysvar of recent blockhashes", one, change(advance(nonce, payer), func(i *in) { i.accounts[1].key = rentSysvar })),
		durable("AdvanceNonceAccount with a trailing byte", "is no recent block", "blockhash", change(advance(nonce, payer), func(i *in) { i.data = append(u32(4), 0) })),
		durable("AdvanceNonceAccount with a fourth account", "has 4 accounts", one, change(advance(nonce, payer), func(i *in) { i.accounts = append(i.accounts, meta{wallet, false, false}) })),
		in1("nonce account that is not initialised", "creates nonce account", create).as("transaction"),
		row("nonce account that is initialised later", layOut(true, payer, block, create, pay, initNonce(made, payer)), two, "not made the vault's at once"),
		row("two accounts created, one initialised", layOut(true, payer, block, create, createNonce(payer, "m", mustSeed(payer, "m"), 1447680, 80, systemProgram), initNonce(mustSeed(payer, "m"), payer)), two, "not made the vault's at once"),
		row("nonce account for a stranger", layOut(true, payer, block, create, initNonce(made, stranger)), two, "authority "+stranger.String()),
		row("another account is initialised", layOut(true, payer, block, create, initNonce(wallet, payer)), two, "was not created by the instruction before"),
		row("initialised without being created", layOut(true, payer, block, initNonce(made, payer)), one, "was not created by the instruction before"),
		row("initialised twice", layOut(true, payer, block, create, initNonce(made, payer), initNonce(made, payer)), three, "was not created by the instruction before"),
		row("initialised with other sysvars", layOut(true, payer, block, create, change(initNonce(made, payer), func(i *in) { i.accounts[1].key = systemProgram })), two, "are not the sysvars"),
		in1("account created for a program", "nonce accounts alone are made", createNonce(payer, "n", made, 1447680, 80, tokenProgram)),
		in1("account created with more than it needs", "it needs 1447680 at most", createNonce(payer, "n", made, 1447681, 80, systemProgram)),
		in1("account created of another size", "nonce accounts alone are made", createNonce(payer, "n", made, 1447680, 165, systemProgram)),
		in1("account created at another address", "base and seed give", createNonce(payer, "n", wallet, 1447680, 80, systemProgram)),
		in1("account created from a stranger's base", "is not the account that signs", createNonce(stranger, "n", mustSeed(stranger, "n"), 1447680, 80, systemProgram)),
		in1("account created without a seed", "want 1 to 32", createNonce(payer, "", made, 1447680, 80, systemProgram)),
		in1("account created with a seed of 33 bytes", "has 33 bytes, more than 32", createNonce(payer, strings.Repeat("n", 33), made, 1447680, 80, systemProgram)),
		in1("account created with a seed that nobody can read", "printable", createNonce(payer, "n\n", made, 1447680, 80, systemProgram)),
		in1("seed of 2⁶⁴−1 bytes", "more than 32", change(create, func(i *in) { i.data = slices.Replace(slices.Clone(i.data), 36, 44, u64(math.MaxUint64)...) })),
		in1("account creation cut short", "ends early", change(create, func(i *in) { i.data = i.data[:43] })),
		in1("account creation with a trailing byte", "bytes, not", change(create, func(i *in) { i.data = append(slices.Clone(i.data), 0) })),
		in1("nonce's lamports to a stranger", "none of this vault's addresses; take it back first", withdraw(nonce, wallet, payer, 5)),
		in1("another's nonce account emptied", "not a nonce account of "+second.String(), withdraw(nonce, payer, second, 5)),
		in1("withdrawal with other sysvars", "are not the sysvars", change(withdraw(nonce, payer, payer, 5), func(i *in) { i.accounts[2].key = systemProgram })),
		in1("withdrawal with a trailing byte", "has 13 bytes", change(withdraw(nonce, payer, payer, 5), func(i *in) { i.data = append(slices.Clone(i.data), 0) })),
	}
}

// as changes the field that is expected.
func (h hostile) as(field string) hostile { h.field = field; return h }

// seen is a row whose accounts the node, and the initiator too, read as given.
func seen(name, reason string, accounts map[key]solana.Account, ins ...in) hostile {
	w, p := reading(), layOut(true, payer, block, ins...)
	for k, a := range accounts {
		w.Accounts[k] = a
	}
	return hostile{name, sealed(p.bytes(), p, w), w, "instruction 1", reason}
}

func hostileTransfers() []hostile {
	from, to := ata(payer, mint, tokenProgram), ata(wallet, mint, tokenProgram)
	held := func(change func(*solana.Account)) solana.Account {
		a := solana.Account{Kind: solana.TokenAccount, Program: tokenProgram, Mint: mint, Owner: wallet}
		change(&a)
		return a
	}
	odds := func(name, reason string, a solana.Account, ins ...in) hostile { // to an account that is not the one by rule
		return seen(name, reason, map[key]solana.Account{helper: a}, append(ins, sendToken(tokenProgram, from, mint, helper, payer, 1, 6))...)
	}
	send := func(change func(*in)) in { i := usual(); i.accounts = slices.Clone(i.accounts); change(&i); return i }
	return []hostile{
		in1("unchecked Transfer", "use TransferChecked", in{tokenProgram, []meta{{from, false, true}, {to, false, true}, {payer, true, false}}, join([]byte{3}, u64(1))}),
		in1("decimals of another token", "has 6 decimals, the instruction says 9", sendToken(tokenProgram, from, mint, to, payer, 1, 9)),
		in1("token account pays itself", "pays itself", sendToken(tokenProgram, from, mint, from, payer, 1, 6)),
		in1("tokens to a wallet's own address", "is a wallet, not a token account", sendToken(tokenProgram, from, mint, wallet, payer, 1, 6)),
		in1("tokens to a mint", "is a mint", sendToken(tokenProgram, from, mint, taxed, payer, 1, 6)),
		in1("another's tokens by our key as their delegate", "is owned by "+wallet.String(), sendToken(tokenProgram, to, mint, ata(stranger, mint, tokenProgram), payer, 1, 6)),
		in1("tokens of a second own address by the first", "is owned by "+second.String(), sendToken(tokenProgram, ata(second, mint, tokenProgram), mint, to, payer, 1, 6)),
		in1("source that is a wallet", "not a token account", sendToken(tokenProgram, wallet, mint, to, payer, 1, 6)),
		in1("mint that is a wallet", "not a mint", sendToken(tokenProgram, from, wallet, to, payer, 1, 6)),
		in1("mint of the other token program", "not a mint of spl-token", sendToken(tokenProgram, from, taxed, to, payer, 1, 2)),
		in1("accounts of the other token program", "not a mint of token-2022", sendToken(token22, from, mint, to, payer, 1, 6)),
		odds("account of another mint", "holds mint "+taxed.String(), held(func(a *solana.Account) { a.Mint = taxed })),
		odds("account of the other program", "not a token account of spl-token", held(func(a *solana.Account) { a.Program = token22 })),
		odds("frozen account", "is frozen", held(func(a *solana.Account) { a.Frozen = true })),
		odds("account that wants a memo", "without a memo directly before", held(func(a *solana.Account) { a.MemoRequired = true })),
		odds("memo not directly before", "without a memo directly before", held(func(a *solana.Account) { a.MemoRequired = true }), note("x"), unitLimit(5)).as("instruction 3"),
		odds("account that another may close and make again", "may close and make again", held(func(a *solana.Account) { a.Closer = true })),
		odds("account owned by the Token program", "it would be lost", held(func(a *solana.Account) { a.Owner = tokenProgram })),
		odds("account owned by its mint", "whose owner is", held(func(a *solana.Account) { a.Owner = mint })),
		odds("account owned by itself", "whose owner is", held(func(a *solana.Account) { a.Owner = helper })),
		odds("account owned by a point of order 4", "small or mixed order", held(func(a *solana.Account) { a.Owner = orderFour })),
		seen("source of another mint", "holds mint "+taxed.String(), map[key]solana.Account{helper: held(func(a *solana.Account) { a.Owner, a.Mint = payer, taxed })}, sendToken(tokenProgram, helper, mint, to, payer, 1, 6)),
		in1("signatures of a multisig", "has 5 accounts, not 4", send(func(i *in) { i.accounts = append(i.accounts, meta{payer, true, false}) })),
		in1("accounts of a transfer hook", "has 6 accounts, not 4", send(func(i *in) { i.accounts = append(i.accounts, meta{stranger, false, false}, meta{helper, false, false}) })),
		in1("TransferChecked without decimals", "has 9 bytes", send(func(i *in) { i.data = i.data[:9] })),
		in1("TransferChecked with a trailing byte", "has 11 bytes", send(func(i *in) { i.data = append(slices.Clone(i.data), 0) })),
		row("sum of tokens wraps", layOut(true, payer, block, sendToken(tokenProgram, from, mint, to, payer, math.MaxUint64, 6), usual()), "transaction", "together exceed"),
		row("account used after it was closed", layOut(true, payer, block, closing(from, payer, payer), usual()), "instruction 2", "an instruction before it closed"),
		row("account opened after it was closed", layOut(true, payer, block, closing(from, payer, payer), openToken(payer, from, payer, mint, tokenProgram, 1)), "instruction 2", "an instruction before it closed"),
	}
}

func closing(account, to, owner key) in {
	return in{tokenProgram, []meta{{account, false, true}, {to, false, true}, {owner, true, false}}, []byte{9}}
}

func hostileMints() []hostile {
	from, to := ata(payer, taxed, token22), ata(wallet, taxed, token22)
	plain := sendToken(token22, from, taxed, to, payer, 50, 2)
	withFee := func(amount, fee uint64) in { return sendTaxed(from, taxed, to, payer, amount, 2, fee) }
	mint22 := func(name, reason string, hook key, i in, x ...uint16) hostile {
		return seen(name, reason, map[key]solana.Account{taxed: {Kind: solana.Mint, Program: token22, Decimals: 2, Extensions: x, Hook: hook}}, i)
	}
	open := openToken(payer, to, wallet, taxed, token22, 1)
	short := withFee(50, 1)
	short.data = short.data[:18]
	long := withFee(50, 1)
	long.data = append(slices.Clone(long.data), 0)
	spl := withFee(50, 1)
	spl.program = tokenProgram
	withheld := withFee(50, 1)
	withheld.data = []byte{26, 3}
	return []hostile{
		in1("transfer fee not bound", "use TransferCheckedWithFee", plain),
		in1("transfer fee above the amount", "is more than the amount", withFee(50, 51)),
		mint22("fee for a mint that takes none", "takes no fee", key{}, withFee(50, 1), 18),
		mint22("transfer hook", "calls program "+stranger.String(), stranger, plain, 14),
		mint22("token that cannot be transferred", "cannot be transferred", key{}, plain, 9),
		mint22("interest-bearing token", "shows other amounts", key{}, plain, 10),
		mint22("token of scaled amounts", "shows other amounts", key{}, plain, 25),
		mint22("extension that is unknown", "extension 29 of Token-2022, which is unknown", key{}, plain, 29),
		mint22("extension of accounts on a mint", "extension 11 of Token-2022", key{}, plain, 11),
		mint22("account that is born frozen", "may be frozen from the beginning", key{}, open, 6),
		mint22("account opened for a transfer hook", "calls program", stranger, open, 14),
		mint22("allowance on a transfer hook", "calls program", stranger, in{token22, []meta{{from, false, true}, {taxed, false, false}, {delegate, false, false}, {payer, true, false}}, join([]byte{13}, u64(5), []byte{2})}, 14),
		in1("TransferCheckedWithFee cut short", "has 18 bytes", short),
		in1("TransferCheckedWithFee with a trailing byte", "has 20 bytes", long),
		in1("TransferCheckedWithFee of the Token program", "TransferFeeExtension is not supported", spl),
		in1("withheld fees taken", "TransferFeeExtension is not supported", withheld),
	}
}

func hostileTokens() []hostile {
	from := ata(payer, mint, tokenProgram)
	mine := []meta{{from, false, true}, {stranger, false, false}, {payer, true, false}}
	var rows []hostile
	for tag, name := range map[byte]string{
		0: "InitializeMint", 1: "InitializeAccount", 2: "InitializeMultisig", 6: "SetAuthority is not supported: it gives", 7: "MintTo", 8: "Burn is not supported: it destroys", 10: "FreezeAccount", 11: "ThawAccount",
		14: "MintToChecked", 15: "BurnChecked", 16: "InitializeAccount2", 17: "SyncNative", 18: "InitializeAccount3", 19: "InitializeMultisig2", 20: "InitializeMint2", 21: "GetAccountDataSize", 22: "InitializeImmutableOwner",
		23: "AmountToUiAmount", 24: "UiAmountToAmount", 25: "InitializeMintCloseAuthority", 27: "ConfidentialTransferExtension is not supported: nodes cannot see", 28: "DefaultAccountStateExtension", 29: "Reallocate", 30: "MemoTransferExtension",
		31: "CreateNativeMint", 32: "InitializeNonTransferableMint", 33: "InterestBearingMintExtension", 34: "CpiGuardExtension", 35: "InitializePermanentDelegate", 36: "TransferHookExtension", 37: "ConfidentialTransferFeeExtension",
		38: "WithdrawExcessLamports", 39: "MetadataPointerExtension", 40: "GroupPointerExtension", 41: "GroupMemberPointerExtension", 42: "ConfidentialMintBurnExtension", 43: "ScaledUiAmountExtension", 44: "PausableExtension",
		45: "UnwrapLamports", 46: "PermissionedBurnExtension", 47: "instruction 47 is unknown", 255: "instruction 255 is unknown",
	} {
		rows = append(rows, in1("token instruction "+strings.Fields(name)[0]+" "+string(rune('0'+tag%10)), name, in{token22, mine, append([]byte{tag}, stranger[:]...)}))
	}
	approve := func(source, owner key, data []byte) in {
		return in{tokenProgram, []meta{{source, false, true}, {mint, false, false}, {delegate, false, false}, {owner, true, false}}, data}
	}
	return append(rows,
		in1("token program without an instruction", "no instruction", in{tokenProgram, mine, nil}),
		in1("account closed to a stranger", "none of this vault's addresses", closing(from, wallet, payer)),
		in1("another's account closed", "is owned by "+wallet.String(), closing(ata(wallet, mint, tokenProgram), payer, payer)),
		in1("account closed with a trailing byte", "has 2 bytes", in{tokenProgram, closing(from, payer, payer).accounts, []byte{9, 0}}),
		in1("allowance of another's tokens", "is owned by", approve(ata(wallet, mint, tokenProgram), payer, join([]byte{13}, u64(5), []byte{6}))),
		in1("allowance with other decimals", "the instruction says 5", approve(from, payer, join([]byte{13}, u64(5), []byte{5}))),
		in1("allowance with a trailing byte", "has 11 bytes", approve(from, payer, join([]byte{13}, u64(5), []byte{6, 0}))),
		in1("allowance of another mint", "holds mint", in{token22, []meta{{ata(payer, taxed, token22), false, true}, {odd2, false, false}, {delegate, false, false}, {payer, true, false}}, join([]byte{13}, u64(5), []byte{2})}).with(odd2, solana.Account{Kind: solana.Mint, Program: token22, Decimals: 2}),
		in1("unchecked allowance with a trailing byte", "has 10 bytes", in{tokenProgram, mine, append(append([]byte{4}, u64(5)...), 0)}),
		in1("another's allowance revoked", "is owned by", in{tokenProgram, []meta{{ata(wallet, mint, tokenProgram), false, true}, {payer, true, false}}, []byte{5}}),
		in1("allowance revoked with a trailing byte", "has 2 bytes", in{tokenProgram, []meta{{from, false, true}, {payer, true, false}}, []byte{5, 0}}),
	)
}

var odd2 = public(13)

// with lets node and initiator read one more account.
func (h hostile) with(k key, a solana.Account) hostile {
	h.world.Accounts[k] = a
	p := layOut(true, payer, block, in{token22, []meta{{ata(payer, taxed, token22), false, true}, {odd2, false, false}, {delegate, false, false}, {payer, true, false}}, join([]byte{13}, u64(5), []byte{2})})
	h.payload = sealed(p.bytes(), p, h.world)
	return h
}

func hostileOthers() []hostile {
	to := ata(wallet, mint, tokenProgram)
	open := openToken(payer, to, wallet, mint, tokenProgram, 1)
	opened := func(name, reason string, change func(*in)) hostile {
		i := open
		i.accounts = slices.Clone(open.accounts)
		change(&i)
		return in1(name, reason, i)
	}
	for_ := func(owner key) in {
		return openToken(payer, ata(owner, mint, tokenProgram), owner, mint, tokenProgram, 1)
	}
	pay := sendSOL(payer, wallet, 1)
	at2 := func(name, reason string, ins ...in) hostile { return in1(name, reason, ins...).as("instruction 2") }
	program := func(name, reason, id string) hostile {
		return in1(name, reason, in{keyOf(id), []meta{{payer, true, true}}, []byte{0}})
	}
	return []hostile{
		opened("account made at another address", "not "+wallet.String(), func(i *in) { i.accounts[1].key, i.accounts[2].key = wallet, second }),
		opened("account made for another wallet than shown", "is "+ata(stranger, mint, tokenProgram).String(), func(i *in) { i.accounts[2].key = stranger }),
		opened("account made by a strange program", "a token program", func(i *in) { i.accounts[5].key = memoProgram }),
		opened("account made with a strange System", "are not System", func(i *in) { i.accounts[4].key = helper }),
		opened("account made with the rent sysvar too", "has 7 accounts", func(i *in) { i.accounts = append(i.accounts, meta{rentSysvar, false, false}) }),
		opened("RecoverNested", "RecoverNested is not supported", func(i *in) { i.data = []byte{2} }),
		opened("account programme's instruction 3", "instruction 03 is unknown", func(i *in) { i.data = []byte{3} }),
		opened("account made with a trailing byte", "instruction 0100 is unknown", func(i *in) { i.data = []byte{1, 0} }),
		at2("account made twice", "is made twice", open, open),
		in1("account made for a token account", "is no wallet", for_(to)),
		in1("account made for a mint", "is no wallet", for_(taxed)),
		in1("account made for the Token program", "it would be lost", for_(tokenProgram)),
		at2("made for one mint, paid in another", "is made for mint", openToken(payer, ata(wallet, taxed, token22), wallet, taxed, token22, 1),
			sendToken(tokenProgram, ata(payer, mint, tokenProgram), mint, ata(wallet, taxed, token22), payer, 1, 6)),
		in1("unit limit of 0", "is not in 1", unitLimit(0), pay),
		in1("unit limit above the chain's", "is not in 1", unitLimit(1400001), pay),
		at2("unit limit twice", "stands twice", unitLimit(5), unitLimit(6), pay),
		at2("unit price twice", "stands twice", unitPrice(5), unitPrice(6), pay),
		row("priority fee wraps", layOut(true, payer, block, unitPrice(math.MaxUint64), unitLimit(1400000), pay), "fee", "exceed 2⁶⁴"),
		row("fee and priority wrap", layOut(true, payer, block, unitPrice(math.MaxUint64), unitLimit(1000000), pay), "fee", "exceeds 2⁶⁴"),
		in1("unit limit of 3 bytes", "has 4 bytes", in{budgetProgram, nil, []byte{2, 0, 0, 1}}, pay),
		in1("unit price with a trailing byte", "has 10 bytes", in{budgetProgram, nil, append(append([]byte{3}, u64(1)...), 0)}, pay),
		in1("heap frame", "RequestHeapFrame", in{budgetProgram, nil, join([]byte{1}, u32(65536))}, pay),
		in1("loaded accounts' size", "SetLoadedAccountsDataSizeLimit", in{budgetProgram, nil, join([]byte{4}, u32(65536))}, pay),
		in1("compute budget's instruction 0", "instruction 0 is unknown", in{budgetProgram, nil, make([]byte, 9)}, pay),
		in1("compute budget without an instruction", "no instruction", in{budgetProgram, nil, nil}, pay),
		in1("compute budget with an account", "has 1 accounts", in{budgetProgram, []meta{{wallet, false, false}}, []byte{2, 1, 0, 0, 0}}, pay),
		in1("memo with a line of its own", "cannot be printed", note("x\namount: 0"), pay),
		in1("memo with a carriage return", "cannot be printed", note("x\ramount: 0"), pay),
		in1("memo that runs backwards", "cannot be printed", note("x\u202e0001"), pay),
		in1("memo with an invisible character", "cannot be printed", note("x\u200b"), pay),
		in1("memo with a terminal's escape", "cannot be printed", note("\x1b[2Jx"), pay),
		in1("memo with a line separator", "cannot be printed", note("x\u2028y"), pay),
		in1("memo that is no UTF-8", "cannot be printed", note("x\xff"), pay),
		in1("empty memo", "of 0 bytes", note(""), pay),
		in1("memo of 567 bytes", "of 567 bytes", note(strings.Repeat("x", 567)), pay),
		at2("second memo", "is a second memo", note("x"), note("y"), pay),
		row("memo signed by a stranger", layOut(true, payer, block, in{memoProgram, []meta{{stranger, true, false}}, []byte("x")}, pay), "signers", "none of this vault's"),
		in1("memo that names who does not sign", "needs the signature", in{memoProgram, []meta{{wallet, false, false}}, []byte("x")}, pay),
		program("Memo, version 1", "Memo, version 1", "Memo1UhkJRfHyvLMcVucJwxXeuD728EqVDDwQDxFMNo"),
		program("Stake", "(Stake)", "Stake11111111111111111111111111111111111111"),
		program("loader that hands a program over", "BPF Loader, upgradeable", "BPFLoaderUpgradeab1e11111111111111111111111"),
		program("lookup tables' program", "Address Lookup Table", "AddressLookupTab1e1111111111111111111111111"),
		program("Squads", "Squads, version 4", "SQDS4ep65T869zMMBKyuUq6aD6EgTu8psMjkvj52pCf"),
		program("Jupiter", "Jupiter, version 6", "JUP6LkbZbjS1jKKwapdHNy74zcZ3tLUZoi5QNyVTaV4"),
		program("ed25519 verification, which costs a fee of its own", "Ed25519 verification", "Ed25519SigVerify111111111111111111111111111"),
		in1("unknown program", "the unknown program "+stranger.String(), in{stranger, []meta{{payer, true, true}}, []byte{1, 2, 3}}),
		in1("mint as a program", "the unknown program "+mint.String(), in{mint, nil, []byte{1}}),
	}
}
