package main

import (
	"cmp"
	"context"
	"crypto/ed25519"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/spf13/cobra"

	"github.com/ostraka/ostraka/client/disclose"
	"github.com/ostraka/ostraka/client/onchain"
	"github.com/ostraka/ostraka/client/published"
	"github.com/ostraka/ostraka/custody/signet"
	"github.com/ostraka/ostraka/custody/statement"
	"github.com/ostraka/ostraka/evidence/places"
	"github.com/ostraka/ostraka/evidence/tlog"
	"github.com/ostraka/ostraka/evidence/verify"
)

// identityPrefix is how commands print an identity.
const identityPrefix = "ed25519:"

// How often, and after what wait, logs of which others saw more are fetched again before that is a failure.
const refetches = 5

var refetchWait = 2 * time.Second // shorter in tests

// A verification is what `verify` and `watch` are asked for.
type verification struct {
	circle, at, from, rpc, witness, operator, address, release, maintainer []string
	insecure                                                               bool
	shelf                                                                  shelf
	costs

	places    []string
	options   verify.Options
	hardware  string // file of certificates
	endpoints []onchain.Endpoint
	heights   map[string]uint64 // of balances, by chain
	begins    map[string]uint64 // the first block that is read, by chain
	kept      onchain.Kept      // blocks that were read before
	expected  map[string]string // identities, hex, by operator
	named     [][3]string       // vault, chain, address
	cache     string            // folder; empty: none

	folders []string            // of what operators opened to the reader
	opened  []*published.Opened // of this reading
}

// costs are what reading one place may cost. 0: as the flags have it if none is given.
type costs struct {
	entries, mb int64
	time        time.Duration
}

const defaultTime = 15 * time.Minute

func (x *costs) flags(c *cobra.Command) {
	f := c.Flags()
	f.Int64Var(&x.entries, "max-entries", published.DefaultBounds.Entries, "most entries that are read of one log: one with more fails, and the others are read")
	f.Int64Var(&x.mb, "max-mb", published.DefaultBounds.Bytes>>20, "most megabytes that are read of one log, likewise")
	f.DurationVar(&x.time, "max-time", defaultTime, "how long fetching may take: what is not there by then fails, and the others are read")
}

func (x costs) check() error {
	switch {
	case x.entries < 1 || x.entries > tlog.MaxSize:
		return usage("--max-entries is 1 or more")
	case x.mb < 1 || x.mb > 1<<40:
		return usage("--max-mb is 1 or more")
	case x.time <= 0:
		return usage("--max-time is more than nothing")
	}
	return nil
}

func (x costs) bounds() published.Bounds {
	return published.Bounds{Entries: x.entries, Bytes: x.mb << 20}
}

// until is when fetching ends: a quarter of the time that there is remains for what was fetched.
func (x costs) until(ctx context.Context) time.Time {
	now := time.Now()
	end := now.Add(cmp.Or(x.time, defaultTime))
	if all, ok := ctx.Deadline(); ok && now.Add(all.Sub(now)*3/4).Before(end) {
		end = now.Add(all.Sub(now) * 3 / 4)
	}
	return end
}

func (v *verification) flags(c *cobra.Command) {
	f := c.Flags()
	f.StringArrayVar(&v.circle, "circle", nil, "id of the circle that it must be, as its operators publish it elsewhere: 64 digits")
	f.StringArrayVar(&v.rpc, "rpc", nil, "CHAIN=URL: compare with this chain, as this endpoint says (eip155:1=https://…, bip122:…=http://…, solana:5eyk…=https://…); several of one chain must agree")
	f.StringArrayVar(&v.from, "from-block", nil, "HEIGHT, or CHAIN=HEIGHT: of Bitcoin, the block from which coins are looked for (default: from when the first address was given out)")
	f.StringArrayVar(&v.at, "at", nil, "HEIGHT, or CHAIN=HEIGHT: balances as of this block, for proof of reserves (default: the newest)")
	f.StringArrayVar(&v.witness, "witness", nil, "witness key of somebody outside the circle whose cosignatures count")
	f.StringVar(&v.hardware, "hardware-roots", "", "file of certificates of makers of hardware (PEM): those count that the charter lists, beside those in this program")
	f.StringArrayVar(&v.operator, "operator", nil, "NAME=IDENTITY that an operator of the circle must have, as it publishes it elsewhere: 64 hex digits, with or without ed25519:")
	f.StringArrayVar(&v.address, "address", nil, "VAULT=CHAIN:ADDRESS: compare this address with the chain too, where the vault's are withheld")
	f.StringArrayVar(&v.release, "release", nil, "release.note of a release: says of each operator's program whether it is of it")
	f.StringArrayVar(&v.maintainer, "maintainer", nil, "key of a maintainer whom you trust, NAME+HASH+KEY: two must have signed each release")
	v.shelf.flags(c, evidenceAt)
	v.costs.flags(c)
	f.BoolVar(&v.insecure, "insecure", false, "read web servers whose certificate no authority vouches for, and by http: what is read is held to signatures all the same")
}

// evidenceAt is the flag of the time by which evidence is judged, where --at is a block's height.
const evidenceAt = "evidence-at"

// parse reads what was asked for.
func (v *verification) parse(places []string) error {
	if len(places) == 0 {
		return usage("name what to verify: addresses of nodes, logs or disclosures, or folders")
	}
	if err := v.check(); err != nil {
		return err
	}
	if len(v.circle) > 1 {
		return usage("--circle is given %d times: one verification is of one circle", len(v.circle))
	}
	for _, text := range v.circle {
		id, err := statement.ParseID(text)
		if err != nil {
			return usage("--circle: %w", err)
		}
		if id.IsZero() { // the verifier takes it for none
			return usage("--circle: that id is nobody's; take the circle's id from its operators")
		}
		v.options.Circle = id
	}
	for _, text := range v.rpc {
		e, err := onchain.ParseEndpoint(text)
		if err != nil {
			return usage("--rpc: %w", err)
		}
		v.endpoints = append(v.endpoints, e)
	}
	for _, text := range v.witness {
		w, err := witnessKey(text)
		if err != nil {
			return err
		}
		v.options.Witnesses = append(v.options.Witnesses, w)
	}
	var err error
	if v.options.Release, err = releases(v.release, v.maintainer); err != nil {
		return err
	}
	if err := v.shelf.read(evidenceAt); err != nil {
		return err
	}
	pins, err := identities(v.operator)
	if err != nil {
		return err
	}
	if err := v.readOpened(); err != nil {
		return err
	}
	v.expected = map[string]string{}
	for name, identity := range pins {
		v.expected[name] = hex.EncodeToString(identity)
	}
	for _, text := range v.address {
		vault, account, _ := strings.Cut(text, "=")
		i := strings.LastIndexByte(account, ':')
		if i < 0 || statement.CheckLabel(vault) != nil {
			return usage("--address %.200q is not VAULT=CHAIN:ADDRESS, such as treasury=eip155:1:0x…", text)
		}
		a, err := verify.ParseAddress(account[:i], account[i+1:])
		if err != nil {
			return usage("--address of vault %s: %w", vault, err)
		}
		v.named = append(v.named, [3]string{vault, account[:i], a})
	}
	if err := v.parseHeights(); err != nil {
		return err
	}
	v.places, err = folders(places)
	return err
}

// readOpened reads what operators opened to the reader. Its checkpoints are what the reader saw of their logs.
func (v *verification) readOpened() error {
	v.opened = nil
	for _, folder := range v.folders {
		o, err := published.ReadOpened(folder)
		if errors.Is(err, fs.ErrNotExist) {
			return usage("--opened %s: name the folder that `ostraka log read` wrote: %w", folder, err)
		}
		if err != nil {
			return unverified("ask the operator for the file again, and read it into an empty folder with `ostraka log read`", "--opened: %w", err)
		}
		v.opened = append(v.opened, o)
	}
	return nil
}

// tellOpened says what the bodies that were opened came to.
func (v *verification) tellOpened(r *verify.Report) {
	all := 0
	for _, o := range v.opened {
		n, err := o.Bodies()
		all += n
		switch subject := "what was opened in " + o.Folder; {
		case errors.Is(err, published.ErrUnread):
			r.Fail(subject, openedRead, err.Error())
		case err != nil:
			r.Fail(subject, "its log has it", err.Error())
		}
	}
	if len(v.opened) > 0 {
		r.Claims = append(r.Claims, verify.Claim{
			Subject: "the reader", Claim: fmt.Sprintf("%d bodies were opened to you", all), Class: verify.Proved, Basis: "each is held to its entry's id; nobody else is shown them here",
		})
	}
}

// identities reads operators' identities, each NAME=IDENTITY; nil if none is given.
func identities(given []string) (out disclose.Pins, err error) {
	for _, text := range given {
		name, identity, _ := strings.Cut(text, "=")
		raw, err := hex.DecodeString(strings.TrimPrefix(identity, identityPrefix))
		if err != nil || len(raw) != ed25519.PublicKeySize {
			return nil, usage("--operator %.100q is not NAME=IDENTITY: IDENTITY is 64 hex digits, with or without %q", text, identityPrefix)
		}
		if err = signet.CheckIdentity(raw); err == nil {
			err = statement.CheckLabel(name)
		}
		if err != nil {
			return nil, usage("--operator %.100q is not NAME=IDENTITY: %w", text, err)
		}
		if out == nil {
			out = disclose.Pins{}
		}
		out[name] = raw
	}
	return out, nil
}

func (v *verification) parseHeights() (err error) {
	chains := onchain.Chains(v.endpoints)
	if v.heights, err = heights("--at", v.at, chains); err != nil {
		return err
	}
	chains = slices.DeleteFunc(chains, func(chain string) bool { return !strings.HasPrefix(chain, "bip122:") })
	v.begins, err = heights("--from-block", v.from, chains)
	return err
}

// heights reads blocks of chains that are asked, each HEIGHT or CHAIN=HEIGHT.
func heights(flag string, texts, chains []string) (map[string]uint64, error) {
	out := map[string]uint64{}
	for _, text := range texts {
		chain, digits, named := strings.Cut(text, "=")
		if !named {
			chain, digits = "", text
		}
		height, err := strconv.ParseUint(digits, 10, 64)
		if !named && len(chains) == 1 {
			chain = chains[0]
		}
		_, twice := out[chain]
		switch {
		case err != nil:
			return nil, usage("%s %.80q is neither HEIGHT nor CHAIN=HEIGHT", flag, text)
		case !named && len(chains) != 1:
			return nil, usage("%s %d: of which chain? Give CHAIN=HEIGHT, and an --rpc for each", flag, height)
		case named && !slices.Contains(chains, chain):
			return nil, usage("%s %.80q: no --rpc is given for %.40s", flag, text, chain)
		case flag == "--at" && strings.HasPrefix(chain, "solana:"):
			return nil, usage("--at: endpoints of Solana tell balances as of the newest slot alone: name the chain that you mean, CHAIN=HEIGHT, and leave it out for %.50s", chain)
		case twice:
			return nil, usage("%s is given twice for one chain", flag)
		}
		out[chain] = height
	}
	return out, nil
}

// run fetches, verifies and compares. Logs of which others saw more, and which may have gone on since, are fetched again a few times, as long as
// there is time. Whole says that every place could be read.
func (v *verification) run(ctx context.Context, a *app) (r *verify.Report, whole bool, err error) {
	end := v.until(ctx)
	for try := 0; ; try++ {
		again, known, live, err := v.once(ctx, a, end)
		if r != nil && (err != nil || time.Now().After(end)) && !interrupted(ctx) {
			return r, whole, nil // what was found stands
		}
		if err != nil {
			return nil, false, err
		}
		r, whole = again, known
		if !live || try == refetches || len(r.Lagging) == 0 && !r.Newer() || time.Now().Add(refetchWait).After(end) {
			return r, whole, nil
		}
		a.progress("Somebody saw more than is shown yet: fetched again in %s", refetchWait)
		select {
		case <-time.After(refetchWait):
		case <-ctx.Done():
			return nil, false, ctx.Err()
		}
	}
}

// interrupted says that somebody ended it, not its time.
func interrupted(ctx context.Context) bool { return errors.Is(ctx.Err(), context.Canceled) }

// settled is run, for a circle that has just signed something: until the logs of so many holders tell of a signature, and every share was proved,
// for half a minute at most.
func (v *verification) settled(ctx context.Context, a *app, holders int) (r *verify.Report, err error) {
	for end := time.Now().Add(30 * time.Second); ; {
		if r, _, err = v.run(ctx, a); err != nil || !r.Failed && r.Proved() && r.Signed(holders) || time.Now().After(end) {
			return r, err
		}
		select {
		case <-time.After(time.Second):
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}

// opened opens places at the same time. Whoever reads them closes them.
func opened(ctx context.Context, where []string, o published.Options) (found []published.Place, errs []error) {
	found, errs = make([]published.Place, len(where)), make([]error, len(where))
	var all sync.WaitGroup
	for i := range where {
		all.Go(func() { found[i], errs[i] = open(ctx, where[i], o) })
	}
	all.Wait()
	return found, errs
}

func (v *verification) once(ctx context.Context, a *app, until time.Time) (r *verify.Report, whole, live bool, err error) {
	inner, cancel := context.WithCancel(ctx)
	defer cancel()
	if err := v.shelf.read(evidenceAt); err != nil { // anew each time: it is brought up to date while a watch runs
		return nil, false, false, err
	}
	a.progress("Reading %s", strings.Join(v.places, ", "))
	found, errs := opened(inner, v.places, published.Options{Insecure: v.insecure, Cache: v.cache, Bounds: v.bounds(), Until: until})
	var sources []published.Source
	var handed []places.File // evidence that bundles carry
	for i, p := range found {
		if errs[i] == nil {
			defer p.Close()
			live = live || p.Live()
			sources, handed = append(sources, p.Sources...), append(handed, p.Evidence()...)
		}
	}
	if interrupted(ctx) {
		return nil, false, live, ctx.Err()
	}
	if len(sources) == 0 {
		return nil, false, live, unreadable(v.places, errs)
	}
	if r, err = v.judge(ctx, a, sources, handed); err != nil {
		return nil, false, live, err
	}
	whole = r.Read()
	for i, why := range errs {
		if why != nil {
			r.Fail("log at "+v.places[i], canBeRead, why.Error())
			whole = false
		}
	}
	r.Expect(v.expected)
	for _, n := range v.named {
		r.Name(n[0], n[1], n[2])
	}
	r.Reconcile(v.ask(ctx, a, r))
	a.progressEnds()
	if interrupted(ctx) {
		err = ctx.Err()
	}
	return r, whole, live, err
}

// judge verifies logs. Of one that does not read well nothing is kept: perhaps that is damaged.
func (v *verification) judge(ctx context.Context, a *app, sources []published.Source, handed []places.File) (*verify.Report, error) {
	o := v.options
	o.Now = time.Now()
	o.Evidence = v.shelf.judge(handed, o.Now)
	var err error
	if o.Vetted, err = vettedBy(v.hardware); err != nil {
		return nil, err
	}
	o.Progress = func(p verify.Progress) error {
		a.progress("%s: entry %d of %d; %s", p.Source, p.Read, p.Of, p.Verdict)
		return ctx.Err()
	}
	if err := v.readOpened(); err != nil {
		return nil, err
	}
	o.Seen = slices.Clone(o.Seen)
	for _, x := range v.opened {
		o.Seen = append(o.Seen, x.Checkpoint)
	}
	read := make([]verify.Source, len(sources))
	for i, s := range sources {
		read[i] = verify.Source{Name: s.Name, Fetch: published.WithOpened(s.Fetch, v.opened)}
	}
	r, err := verify.Verify(read, o)
	if err != nil {
		return nil, err
	}
	v.tellOpened(r)
	for _, s := range sources {
		if slices.ContainsFunc(r.Claims, func(c verify.Claim) bool { return c.Failed != "" && c.Subject == "log at "+s.Name }) {
			err = errors.Join(err, s.Forget())
		}
	}
	return r, err
}

// ask gathers what the chains say.
func (v *verification) ask(ctx context.Context, a *app, r *verify.Report) (all []verify.Facts) {
	for _, chain := range onchain.Chains(v.endpoints) {
		mine := slices.DeleteFunc(slices.Clone(v.endpoints), func(e onchain.Endpoint) bool { return e.Chain != chain })
		o := onchain.Options{Kept: &v.kept, Progress: func(text string) { a.progress("%s", text) }}
		if h, ok := v.heights[chain]; ok {
			o.At = &h
		}
		if h, ok := v.begins[chain]; ok {
			o.From = &h
		}
		all = append(all, onchain.Gather(ctx, mine, r.Enquire(chain), o))
	}
	return all
}

func (a *app) verifyCommand() *cobra.Command {
	var v verification
	c := &cobra.Command{
		Use: "verify URL-or-FOLDER…", Short: "Check what a circle publishes: logs, people, keys, signatures, and the chain", Args: cobra.ArbitraryArgs,
		Long: "Takes any number of nodes (https://HOST:PORT), logs and disclosures, of the web or of folders, of as many operators as there are. Believes none of them: every\n" +
			"leaf is hashed up to what its log signed, every signature is checked here, and the logs are held to one another. Needs no account and no key.\n" +
			"With --rpc each outgoing transaction of each address must stand in the logs of t operators who held the key. What a chain says is the word of the\n" +
			"endpoint: give your own, or several. Of Bitcoin every block is read since the first address was given out, which takes its time (--timeout). With --evidence DIR, and what a disclosure carries, it says of each place what clouds and sighters bear out: keys, certificates\n" +
			"and names that judge it are yours alone, in DIR/keys, DIR/roots and --sighters. Exit code 4 if a claim does not hold, 1 if nothing could be read. What each claim means: spec/verify.\n" +
			"The address of a node is that of its people's port, 7701 unless it was changed; 7700 is the port between nodes.",
		Example: "  ostraka verify https://acme.example:7701 https://bolt.example:7701 https://cora.example:7701 --rpc eip155:1=https://rpc.example\n" +
			"  ostraka verify https://disclosure.example/harbour --circle 3f9c…   # a disclosure",
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := v.parse(args); err != nil {
				return err
			}
			ctx, cancel := a.within(cmd.Context(), time.Hour)
			defer cancel()
			r, _, err := v.run(ctx, a)
			a.progressEnds()
			if errors.Is(err, errUnreadable) {
				return afterSilence(err)
			}
			if errors.Is(err, context.DeadlineExceeded) {
				return fail(codeUnverified, errors.New("the time ran out before all that was fetched was verified"), "give it more with --timeout")
			}
			if err != nil {
				return err
			}
			if err := a.show(r, func(w writer) { printReport(w, r) }); err != nil {
				return err
			}
			return verdict(r)
		},
	}
	v.flags(c)
	c.Flags().StringArrayVar(&v.folders, "opened", nil, "FOLDER that 'ostraka log read' wrote of what an operator opened to you: its bodies are verified with what everybody is shown (may be repeated)")
	return c
}

// verdict is the exit code of a report.
func verdict(r *verify.Report) error {
	if !r.Failed {
		return nil
	}
	n := 0
	for _, c := range r.Claims {
		if c.Failed != "" {
			n++
		}
	}
	return unverified(afterFailure(r), "%s", breaking(n, len(r.Claims)))
}

// breaking is how many claims do not hold; holding that all do.
func breaking(n, all int) string {
	if n == 1 {
		return fmt.Sprintf("1 of %s does not hold", counted(all, "claim", "claims"))
	}
	return fmt.Sprintf("%d of %d claims do not hold", n, all)
}

func holding(n int) string {
	if n == 1 {
		return "1 claim holds"
	}
	return fmt.Sprintf("%d claims hold", n)
}

// allHold is how a verdict says it.
func allHold(n int) string {
	if n == 1 {
		return holding(n)
	}
	return "All " + holding(n)
}

// What fails for what the reader gave, not for what a circle published.
const (
	canBeRead  = "it can be read"
	isShown    = "its log is shown"
	stillShown = "it is shown still"
	openedRead = "its log was read"
	wasRead    = "it was read, and compared with the logs"
)

// afterFailure says what to do about what failed, by its cause. A log that was not named, a place that does not answer and an endpoint of one's own that is
// dead say nothing against anybody; nor does a log that costs more than the reader allows.
func afterFailure(r *verify.Report) string {
	var unread, unshown, unasked, costly, flags []string
	others, unopened, gone := false, false, false
	for _, c := range r.Claims {
		name, isLog := strings.CutPrefix(c.Subject, "log at ")
		operator, isOperator := strings.CutPrefix(c.Subject, "operator ")
		switch {
		case c.Failed == "":
		case isLog && strings.HasSuffix(c.Failed, published.Allows):
			flag := strings.TrimSuffix(c.Failed, published.Allows)
			costly, flags = append(costly, name), append(flags, flag[strings.LastIndexByte(flag, ' ')+1:])
		case isLog && c.Claim == canBeRead:
			unread = append(unread, name)
		case isOperator && c.Claim == isShown:
			unshown = append(unshown, operator)
		case strings.HasPrefix(c.Subject, "chain ") && c.Claim == wasRead:
			unasked = append(unasked, c.Subject)
		case c.Claim == openedRead:
			unopened = true
		case c.Claim == stillShown:
			gone = true
		default:
			others = true
		}
	}
	var next []string
	if len(costly) > 0 {
		slices.Sort(flags)
		next = append(next, joined(costly)+" "+plural(len(costly), "costs", "cost")+" more than you allow: allow more with "+joined(slices.Compact(flags))+", or ask the operator why")
	}
	switch {
	case len(unread) > 0 && len(unread) == len(unshown): // whose they are
		next = append(next, joined(unshown)+" did not answer: try again; nothing is known against "+plural(len(unshown), "it", "them"))
	case len(unread) > 0:
		next = append(next, joined(unread)+" could not be read: look at the address, and try again; nothing is known against "+plural(len(unread), "it", "them"))
	case len(unshown) > len(costly):
		next = append(next, "name the "+plural(len(unshown), "node", "nodes")+" of "+joined(unshown)+" too")
	}
	if len(unasked) > 0 {
		next = append(next, "check --rpc: your endpoint did not answer as it should, and "+joined(unasked)+" was not compared")
	}
	switch whole := len(unread)+len(costly) == 0; {
	case unopened && whole:
		next = append(next, "name the node whose log was opened to you too")
	case gone && whole:
		next = append(next, "name the node whose log was seen before too, or ask its operator why it is shown no more")
	}
	switch {
	case !others:
	case len(next) == 0:
		next = []string{"believe nothing of it until each is explained: ask the operators that are named, by ways of your own"}
	default: // it may follow from what could not be read
		next = append(next, "believe nothing of what fails then")
	}
	return strings.Join(next, "; ")
}

// joined lists names as a sentence does.
func joined(names []string) string {
	if n := len(names); n > 1 {
		return strings.Join(names[:n-1], ", ") + " and " + names[n-1]
	}
	return strings.Join(names, "")
}
