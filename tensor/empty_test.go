package tensor_test

import (
	"testing"

	"github.com/hone-ml/hone/tensor"
)

func TestASumOverSeveralEmptyAxesIsZero(t *testing.T) {
	s := tensor.CPU().NewScope()
	defer s.Close()
	for _, shape := range [][]int{{0}, {0, 0}, {2, 0}, {0, 3}, {0, 2, 0}} {
		if v := tensor.Zeros(s, tensor.F32, shape...).Sum().Item(); v != 0 {
			t.Errorf("the sum of %v is %g", shape, v)
		}
	}
}
