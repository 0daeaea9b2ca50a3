package onchain

import "time"

func init() { pause = time.Millisecond }
