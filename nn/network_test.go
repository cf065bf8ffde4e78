package nn_test

import (
	"path/filepath"
	"testing"

	"github.com/hone-ml/hone/nn"
	"github.com/hone-ml/hone/tensor"
)

// network is the Network of scripts/goldens/breadth_nn.py.
type network struct {
	Embed *nn.Embedding `param:"embed"`
	Conv  *nn.Conv1d    `param:"conv"`
	Norm  *nn.BatchNorm `param:"norm"`
	RNN   *nn.LSTM      `param:"rnn"`
	Head  nn.Sequential `param:"head"`
}

func newNetwork(dt tensor.DType) *network {
	d := tensor.CPU()
	return &network{
		Embed: nn.NewEmbedding(d, dt, 11, 6),
		Conv:  nn.NewConv1d(d, dt, 6, 8, 3, true, tensor.Conv1dOptions{Padding: 1}),
		Norm:  nn.NewBatchNorm(d, dt, 8, 1e-5),
		RNN:   nn.NewLSTM(d, dt, nn.RecurrentConfig{Input: 8, Hidden: 5, Layers: 2, Bidirectional: true}),
		Head:  nn.Sequential{nn.NewLayerNorm(d, dt, 10, 1e-5), nn.NewLinear(d, dt, 10, 7, true), nn.GELU{}, nn.NewLinear(d, dt, 7, 3, true)},
	}
}

func (n *network) Forward(ids T) T {
	x := n.Norm.Forward(n.Conv.Forward(n.Embed.Forward(ids).Transpose(1, 2)))
	return n.Head.Forward(n.RNN.Forward(x.Transpose(1, 2)))
}

func TestAStateDictOfPyTorchIsLoadedAsItIs(t *testing.T) {
	g := openGoldens(t, "network_io.safetensors")
	again := filepath.Join(t.TempDir(), "again.safetensors")
	for _, dt := range []tensor.DType{tensor.F32, tensor.F64} {
		n := newNetwork(dt)
		if err := nn.Load("testdata/network.safetensors", n); err != nil {
			t.Fatal(err)
		}
		if err := nn.Save(again, n); err != nil {
			t.Fatal(err)
		}
		n = newNetwork(dt)
		if err := nn.Load(again, n); err != nil {
			t.Fatal(err)
		}
		s := tensor.CPU().NewScope()
		near(t, "y", n.Forward(g.get(t, "ids").In(s)).Float64s(), g.get(t, "y").Float64s(), 1e-5)
		s.Close()
	}
}
