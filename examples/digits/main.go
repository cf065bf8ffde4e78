// Command digits trains a small convolutional network on digits that it draws itself, never the same twice.
//
//	go run ./examples/digits
package main

import (
	"flag"
	"fmt"
	"log"
	"strings"

	"github.com/hone-ml/hone/nn"
	"github.com/hone-ml/hone/optim"
	"github.com/hone-ml/hone/tensor"
)

const side = 16 // of an image

// glyphs are the digits in 3×5 pixels.
var glyphs = [10]string{
	"####.##.##.####", ".#.##..#..#.###", "###..#####..###", "###..#.##..####", "#.##.####..#..#",
	"####..###..####", "####..####.####", "###..#.#..#..#.", "####.#####.####", "####.####..####",
}

// newNetwork maps images [n, 1, side, side] to logits [n, 10]: two convolutions, each halved by pooling.
func newNetwork() nn.Sequential {
	cpu, same, half := tensor.CPU(), tensor.Conv2dOptions{Padding: [2]int{1, 1}}, nn.MaxPool2d{Kernel: [2]int{2, 2}}
	n := nn.Sequential{
		nn.NewConv2d(cpu, tensor.F32, 1, 16, [2]int{3, 3}, true, same), nn.ReLU{}, half,
		nn.NewConv2d(cpu, tensor.F32, 16, 32, [2]int{3, 3}, true, same), nn.ReLU{}, half,
		nn.Flatten{}, nn.NewLinear(cpu, tensor.F32, 32*side/4*side/4, 10, true),
	}
	nn.Initialize(n, tensor.NewRand(1))
	return n
}

// draw makes n noisy images [n, 1, side, side] of digits of any size, place and slant, and their values [n].
func draw(s *tensor.Scope, n int) (images, digits *tensor.Tensor) {
	images = tensor.Randn(s, tensor.F32, s.Rand(), 0.2, n, 1, side, side)
	random := tensor.ToSlice[float32](tensor.Uniform(s, tensor.F32, s.Rand(), 0, 1, n, 6))
	ink, values := make([]float32, n*side*side), make([]int32, n)
	for i := range n {
		u := random[6*i : 6*i+6]
		digit := int(u[0] * 10)
		values[i] = int32(digit)
		width, height := 5+4*u[1], 8+6*u[2]
		left, top, slant := u[3]*(side-2-width), u[4]*(side-height), 0.4*(u[5]-0.5)
		for y := range side {
			for x := range side {
				row := 5 * (float32(y) - top) / height
				column := 3 * (float32(x) - left - slant*(top+height-float32(y))) / width
				if row >= 0 && row < 5 && column >= 0 && column < 3 && glyphs[digit][3*int(row)+int(column)] == '#' {
					ink[(i*side+y)*side+x] = 1
				}
			}
		}
	}
	return images.Add(tensor.FromSlice(s, ink, n, 1, side, side)), tensor.FromSlice(s, values, n)
}

// show writes an image as text.
func show(pixels []float32) {
	for row := range side {
		var line strings.Builder
		for _, v := range pixels[row*side : (row+1)*side] {
			line.WriteString([]string{"  ", "░░", "▓▓"}[max(0, min(2, int(v*3)))])
		}
		fmt.Println(strings.TrimRight(line.String(), " "))
	}
}

func train(n nn.Sequential, steps int) error {
	opt := optim.NewAdamW(optim.Split(nn.Parameters(n), 1e-2, 0.01), optim.AdamWConfig{})
	schedule := optim.Cosine(10, steps)
	grads := tensor.NewGrads(nn.Parameters(n), tensor.F32)
	tape := tensor.CPU().NewTape()
	defer tape.Close()
	for step := range steps {
		tape.UseRand(tensor.NewRand(uint64(step)))
		images, digits := draw(tape, 64)
		loss := tensor.CrossEntropy(n.Forward(images), digits, tensor.CrossEntropyOptions{})
		loss.Backward(grads)
		opt.SetFactor(schedule(step))
		if err := opt.Step(grads); err != nil {
			return err
		}
		if (step+1)%50 == 0 {
			fmt.Printf("step %3d  loss %.4f\n", step+1, loss.Item())
		}
		grads.Zero()
		tape.Reset()
	}
	return nil
}

// examine returns the share of n new digits that the network knows, and the first that it does not.
func examine(n nn.Sequential, count int) (accuracy float64, mistake []float32, is, taken int) {
	s := tensor.CPU().NewScope()
	defer s.Close()
	s.UseRand(tensor.NewRand(1 << 32))
	images, digits := draw(s, count)
	read, want := tensor.ToSlice[int32](n.Forward(images).ArgMax()), tensor.ToSlice[int32](digits)
	for i := range want {
		if read[i] == want[i] {
			accuracy += 1 / float64(count)
		} else if mistake == nil {
			mistake, is, taken = tensor.ToSlice[float32](images.Index(i)), int(want[i]), int(read[i])
		}
	}
	return accuracy, mistake, is, taken
}

func main() {
	steps := flag.Int("steps", 300, "training steps")
	flag.Parse()
	n := newNetwork()
	if err := train(n, *steps); err != nil {
		log.Fatal(err)
	}
	accuracy, mistake, is, taken := examine(n, 1000)
	fmt.Printf("of 1,000 digits never seen %.1f %% are read right\n", 100*accuracy)
	if mistake != nil {
		fmt.Printf("a %d that was taken for a %d:\n", is, taken)
		show(mistake)
	}
}
