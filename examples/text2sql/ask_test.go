package main

import (
	"encoding/json"
	"math"
	"testing"
)

func TestRowsWithNumbersThatJSONLacksArePrinted(t *testing.T) {
	raw, err := json.Marshal(encodable([][]any{{math.NaN(), math.Inf(-1), 1.5, nil, "x"}}))
	if err != nil || string(raw) != `[["NaN","-Inf",1.5,null,"x"]]` {
		t.Errorf("%s, %v", raw, err)
	}
}
