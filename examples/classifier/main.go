// Command classifier trains a small network to tell three spirals apart and draws what it has learned.
//
//	go run ./examples/classifier -out boundary.png
package main

import (
	"flag"
	"fmt"
	"image"
	"image/color"
	"image/png"
	"log"
	"math"
	"os"

	"github.com/hone-ml/hone/nn"
	"github.com/hone-ml/hone/optim"
	"github.com/hone-ml/hone/tensor"
)

const (
	classes = 3
	points  = 100 // of each class
)

// newNetwork maps points [n, 2] to logits [n, classes] by two hidden layers of 64.
func newNetwork(seed uint64) *nn.MLP {
	n := nn.NewMLP(tensor.CPU(), tensor.F32, nn.ReLU{}, 2, 64, 64, classes)
	nn.Initialize(n, tensor.NewRand(seed))
	return n
}

// spirals are points [classes·points, 2] on arms that wind around each other, and their classes.
func spirals(p tensor.Place, r *tensor.Rand) (x, class *tensor.Tensor) {
	noise := tensor.Randn(tensor.CPU(), tensor.F32, r, 0.15, classes*points)
	defer noise.Free()
	var xy []float32
	var arm []int32
	for i, e := range tensor.ToSlice[float32](noise) {
		radius := float64(i%points) / points
		angle := 4*radius + 2*math.Pi/classes*float64(i/points) + float64(e)
		xy = append(xy, float32(radius*math.Cos(angle)), float32(radius*math.Sin(angle)))
		arm = append(arm, int32(i/points))
	}
	return tensor.FromSlice(p, xy, classes*points, 2), tensor.FromSlice(p, arm, classes*points)
}

// train returns the share of the points that the network gets right in the end.
func train(n *nn.MLP, steps int) (accuracy float64, err error) {
	cpu := tensor.CPU()
	x, class := spirals(cpu, tensor.NewRand(2))
	opt := optim.NewAdamW(optim.Split(nn.Parameters(n), 0.01, 0.01), optim.AdamWConfig{})
	grads := tensor.NewGrads(nn.Parameters(n), tensor.F32)
	tape := cpu.NewTape()
	defer tape.Close()
	for step := range steps {
		logits := n.Forward(x.In(tape))
		loss := tensor.CrossEntropy(logits, class, tensor.CrossEntropyOptions{})
		loss.Backward(grads)
		if err := opt.Step(grads); err != nil {
			return 0, err
		}
		if (step+1)%100 == 0 || step+1 == steps {
			accuracy = logits.Detach().ArgMax().Eq(class).To(tensor.F32).Mean().Item()
			fmt.Printf("step %3d  loss %.4f  right %5.1f %%\n", step+1, loss.Item(), 100*accuracy)
		}
		grads.Zero()
		tape.Reset()
	}
	return accuracy, nil
}

// draw paints the class of every point in [−1.1, 1.1]², and the points that were learned from.
func draw(n *nn.MLP, side int) image.Image {
	scope := tensor.CPU().NewScope()
	defer scope.Close()
	line := tensor.Arange(scope, tensor.F32, 0, float64(side), 1).MulScalar(2.2 / float64(side)).AddScalar(-1.1)
	grid := tensor.Cat(2, line.Reshape(1, side, 1).Expand(side, side, 1), line.Neg().Reshape(side, 1, 1).Expand(side, side, 1))
	share := tensor.ToSlice[float32](n.Forward(grid).Softmax())
	pale := [classes][3]float64{{255, 214, 165}, {168, 218, 220}, {205, 180, 219}}
	dark := [classes]color.RGBA{{214, 90, 0, 255}, {0, 100, 130, 255}, {106, 40, 140, 255}}
	img := image.NewRGBA(image.Rect(0, 0, side, side))
	for i := range side * side {
		var c [3]float64
		for class, p := range share[i*classes : (i+1)*classes] {
			for k := range c {
				c[k] += float64(p) * pale[class][k]
			}
		}
		img.SetRGBA(i%side, i/side, color.RGBA{uint8(c[0]), uint8(c[1]), uint8(c[2]), 255})
	}
	x, class := spirals(scope, tensor.NewRand(2))
	xy := tensor.ToSlice[float32](x)
	at := func(v float32) int { return int((float64(v) + 1.1) / 2.2 * float64(side)) }
	for i, k := range tensor.ToSlice[int32](class) {
		for d := range 9 {
			img.SetRGBA(at(xy[2*i])+d%3-1, at(-xy[2*i+1])+d/3-1, dark[k])
		}
	}
	return img
}

func main() {
	out := flag.String("out", "boundary.png", "picture to write")
	flag.Parse()
	n := newNetwork(1)
	if _, err := train(n, 400); err != nil {
		log.Fatal(err)
	}
	file, err := os.Create(*out)
	if err != nil {
		log.Fatal(err)
	}
	if err := png.Encode(file, draw(n, 480)); err != nil {
		log.Fatal(err)
	}
	if err := file.Close(); err != nil {
		log.Fatal(err)
	}
	fmt.Println("the decision boundary:", *out)
}
