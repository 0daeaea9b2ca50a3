package coin

import (
	"context"
	"errors"

	"github.com/ostraka/ostraka/chain/bitcoin"
)

// Fallback is what is paid while no endpoint's estimator knows: too little only makes a transaction wait, which a higher fee or a child then helps.
var Fallback = bitcoin.PerVByte(10)

// soon is in how many blocks a transaction that pays the usual rate should stand.
const soon = 6

// Usual is what a transaction pays that should stand in one of the next six blocks: what the endpoints estimate, never below what they relay; where none of them can tell, Fallback.
func Usual(ctx context.Context, p *Panel) (bitcoin.Rate, error) {
	least, err := p.MinRate(ctx)
	if err != nil {
		return 0, err
	}
	rate, err := p.Rate(ctx, soon)
	if errors.Is(err, ErrSilent) {
		rate, err = Fallback, nil
	}
	return max(rate, least), err
}
