package nn_test

import (
	"testing"

	"github.com/hone-ml/hone/nn"
	"github.com/hone-ml/hone/optim"
	"github.com/hone-ml/hone/tensor"
)

// learn trains net on batches and gives the share of right answers on fresh ones, in evaluation.
func learn(t *testing.T, net nn.Layer, steps int, lr float64, batch func(p tensor.Place, r *tensor.Rand) (x, targets T)) float64 {
	t.Helper()
	d := tensor.CPU()
	nn.Initialize(net, tensor.NewRand(1))
	params := nn.Parameters(net)
	var list []T
	for _, p := range params {
		list = append(list, p)
	}
	opt := optim.NewAdamW([]optim.Group{{Params: list, LR: lr}}, optim.AdamWConfig{})
	grads := tensor.NewGrads(params, tensor.F32)
	r := tensor.NewRand(2)
	tape := d.NewTape()
	defer tape.Close()
	for range steps {
		x, targets := batch(tape, r)
		tensor.CrossEntropy(net.Forward(x), targets, tensor.CrossEntropyOptions{}).Backward(grads)
		grads.Clip(1)
		if err := opt.Step(grads); err != nil {
			t.Fatal(err)
		}
		grads.Zero()
		tape.Reset()
	}
	s := d.NewScope()
	defer s.Close()
	x, targets := batch(s, r)
	right := net.Forward(x).ArgMax().Eq(targets).To(tensor.F32).Mean()
	return right.Item()
}

func TestRecurrentNetworksLearnToRemember(t *testing.T) {
	d, f32 := tensor.CPU(), tensor.F32
	// Which of four tokens came first, eight steps ago?
	batch := func(p tensor.Place, r *tensor.Rand) (x, targets T) {
		ids := make([]int32, 32*8)
		first := make([]int32, 32)
		draw := tensor.Uniform(d, f32, r, 0, 4, len(ids)).Float64s()
		for i := range ids {
			ids[i] = int32(draw[i])
			if i%8 == 0 {
				first[i/8] = ids[i]
			}
		}
		return tensor.FromSlice(p, ids, 32, 8), tensor.FromSlice(p, first)
	}
	last := nn.Func(func(y T) T { return y.Slice(1, -1, y.Dim(1)).Squeeze(1) })
	c := nn.RecurrentConfig{Input: 8, Hidden: 24}
	for name, l := range map[string]nn.Layer{"lstm": nn.NewLSTM(d, f32, c), "gru": nn.NewGRU(d, f32, c)} {
		net := nn.Sequential{nn.NewEmbedding(d, f32, 4, 8), l, last, nn.NewLinear(d, f32, 24, 4, true)}
		if right := learn(t, net, 300, 0.02, batch); right < 0.9 {
			t.Errorf("%s: %.0f %% right", name, 100*right)
		}
	}
}

func TestAConvolutionalNetLearnsAndItsStatisticsServeEvaluation(t *testing.T) {
	d, f32 := tensor.CPU(), tensor.F32
	// Is the bright bar of a noisy image lying or standing?
	batch := func(p tensor.Place, r *tensor.Rand) (x, targets T) {
		const n, size = 32, 8
		images := tensor.Randn(d, f32, r, 0.3, n*size*size).Float64s()
		place := tensor.Uniform(d, f32, r, 0, size, n).Float64s()
		pixels, labels := make([]float32, len(images)), make([]int32, n)
		for i, v := range images {
			image, row, col := i/(size*size), i/size%size, i%size
			labels[image] = int32(image % 2)
			at := row
			if image%2 == 1 {
				at = col
			}
			if at == int(place[image]) {
				v++
			}
			pixels[i] = float32(v) + 5 // the norm has something to take away
		}
		return tensor.FromSlice(p, pixels, n, 1, size, size), tensor.FromSlice(p, labels)
	}
	net := nn.Sequential{
		nn.NewConv2d(d, f32, 1, 8, [2]int{3, 3}, false, tensor.Conv2dOptions{}), nn.NewBatchNorm(d, f32, 8, 1e-5), nn.ReLU{},
		nn.MaxPool2d{Kernel: [2]int{2, 2}}, nn.Dropout{P: 0.1}, nn.Flatten{}, nn.NewLinear(d, f32, 8*3*3, 2, true),
	}
	if right := learn(t, net, 60, 0.01, batch); right < 0.9 {
		t.Errorf("%.0f %% right", 100*right)
	}
}
