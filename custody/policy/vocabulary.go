package policy

import (
	"fmt"
	"slices"
	"strings"

	"github.com/cedar-policy/cedar-go/x/exp/schema"
	"github.com/cedar-policy/cedar-go/x/exp/schema/validate"

	"github.com/ostraka/ostraka/chain/effect"
	"github.com/ostraka/ostraka/custody/statement"
)

// None stands for no asset, where an effect moves none, and for the label that nothing has.
const None = "none"

// An Operation is what an effect does: Cedar's action.
type Operation = effect.Operation

// The operations. Those of Move move value that the node understood; a rule that means any other must name it.
const (
	Transfer     = effect.Transfer
	Token        = effect.Token
	Fee          = effect.Fee
	Allowance    = effect.Allowance
	Unlimited    = effect.Unlimited
	Call         = effect.Call
	DelegateCall = effect.DelegateCall
	Authorise    = effect.Authorise
	Create       = effect.Create
	Message      = effect.Message
	Proof        = effect.Proof
	Opaque       = effect.Opaque
)

// Move is the group of operations that move value and nothing else.
const Move = "move"

var operations = []Operation{Transfer, Token, Fee, Allowance, Unlimited, Call, DelegateCall, Authorise, Create, Message, Proof, Opaque}

// Purposes and tiers, as the statements have them.
var (
	purposes = []string{"drill", "message", "proof", "transaction"}
	tiers    = []string{"cold", "hot", "warm"}
)

// A Vocabulary is what the charter declares, and rules may name. All are labels, chains apart.
type Vocabulary struct {
	Vaults []string
	People []string
	Groups []string
	Labels []string // of destinations
	Assets []string
	Chains []string // CAIP-2
}

// Validate checks the names: none twice, none that stands for nothing.
func (v Vocabulary) Validate() error {
	for what, names := range map[string][]string{"vault": v.Vaults, "person": v.People, "group": v.Groups, "label": v.Labels, "asset": v.Assets, "chain": v.Chains} {
		for _, name := range names {
			// A chain's form is CAIP-2: whoever declares it checked that.
			if err := statement.CheckLabel(name); err != nil && what != "chain" {
				return fmt.Errorf("policy: %s %w", what, err)
			}
			if name == None {
				return fmt.Errorf("policy: %s: the name %q stands for nothing", what, None)
			}
		}
		if len(slices.Compact(slices.Sorted(slices.Values(names)))) != len(names) {
			return fmt.Errorf("policy: a %s stands twice", what)
		}
	}
	return nil
}

// Schema is the vocabulary and the facts as a Cedar schema: what rules are checked against. Other tools of Cedar read it.
func (v Vocabulary) Schema() string {
	var b strings.Builder
	enum := func(name string, values []string) {
		fmt.Fprintf(&b, "entity %s enum [%s];\n", name, quoted(values))
	}
	enum("Purpose", purposes)
	enum("Tier", tiers)
	enum("Label", or(v.Labels))
	enum("Asset", or(v.Assets))
	enum("Chain", or(v.Chains))
	b.WriteString("entity Group;\nentity Person in [Group];\nentity Vault;\n")
	b.WriteString("type Approvals = {")
	for _, g := range v.Groups {
		fmt.Fprintf(&b, "%q: Long, ", g)
	}
	b.WriteString("};\n" + factsType)
	fmt.Fprintf(&b, "action %q;\n", Move)
	for _, o := range operations {
		in := ""
		if o.Moves() {
			in = fmt.Sprintf(" in [%q]", Move)
		}
		fmt.Fprintf(&b, "action %q%s appliesTo { principal: Person, resource: Vault, context: Facts };\n", string(o), in)
	}
	return b.String()
}

// factsType declares the facts: Facts.request fills them.
const factsType = `type Totals = { hour: Long, day: Long, week: Long, month: Long };
type Facts = {
	purpose: Purpose,
	tier: Tier,
	chain: Chain,
	asset: Asset,
	amount: Long,
	total: Totals,
	destination: String,
	labels: Set<Label>,
	approvals: Approvals,
	approvers: Long,
	organisations: Long,
	hour: Long,
	minute: Long,
	weekday: Long,
};
`

func quoted(values []string) string {
	var all []string
	for _, v := range values {
		all = append(all, fmt.Sprintf("%q", v))
	}
	return strings.Join(all, ", ")
}

func (v Vocabulary) checker() (*validate.Validator, error) {
	var s schema.Schema
	if err := s.UnmarshalCedar([]byte(v.Schema())); err != nil {
		return nil, fmt.Errorf("policy: schema: %w", err)
	}
	resolved, err := s.Resolve()
	if err != nil {
		return nil, fmt.Errorf("policy: schema: %w", err)
	}
	return validate.New(resolved), nil
}
