package nn_test

import (
	"testing"

	"github.com/hone-ml/hone/nn"
	"github.com/hone-ml/hone/tensor"
)

func TestASummaryCountsEachTensorOnce(t *testing.T) {
	m := newStateful(tensor.BF16, 1)
	if err := nn.Freeze(m, "norm.*"); err != nil {
		t.Fatal(err)
	}
	s := nn.Summarize(m)
	if s.Parameters != 5*4+4+4+5 || s.Trainable != 20 || s.Buffers != 4+4+1 || s.Bytes != 2*33+4*8+8 {
		t.Errorf("%+v", s)
	}
	roles := map[string]string{}
	for _, r := range s.Rows {
		roles[r.Name] = r.Role
	}
	for name, want := range map[string]string{"embed.weight": "trainable", "norm.weight": "frozen", "norm.running_mean": "buffer", "head.weight": "tied"} {
		if roles[name] != want {
			t.Errorf("%s is %q, want %q", name, roles[name], want)
		}
	}
}

func TestASummaryOfMillionsReadsWell(t *testing.T) {
	s := nn.Summary{Rows: []nn.SummaryRow{{Name: "w", Layer: "nn.Linear", Shape: []int{4096, 11008}, DType: tensor.F32, Bytes: 4 * 4096 * 11008, Role: "trainable"}},
		Parameters: 4096 * 11008, Trainable: 4096 * 11008, Bytes: 4 * 4096 * 11008}
	want := "name  layer      shape         dtype  elements    memory     role\n" +
		"w     nn.Linear  [4096 11008]  f32    45,088,768  172.0 MiB  trainable\n" +
		"45,088,768 parameters: 45,088,768 trainable, 0 frozen; 172.0 MiB\n"
	if s.String() != want {
		t.Errorf("got\n%s\nwant\n%s", s, want)
	}
}
