// Package tensorimage converts between tensors and Go's images.
//
//	picture, _, err := image.Decode(file)
//	x := tensorimage.FromImage(scope, picture, tensorimage.Options{}) // f32[3 H W] in [0, 1]
package tensorimage

import (
	"fmt"
	"image"
	"image/color"
	"math"

	"github.com/hone-ml/hone/tensor"
)

// A Layout is the order of the axes.
type Layout uint8

// The layouts.
const (
	CHW Layout = iota // channels, rows, columns: what convolutions take
	HWC               // rows, columns, channels: how images lie in files
)

// Options say what becomes of an image. The zero value is F32 [3, H, W] in [0, 1].
type Options struct {
	Layout   Layout
	Channels int          // 1 luminance, 3 red, green, blue, 4 also alpha; 0 means 3
	DType    tensor.DType // a float dtype, in [0, 1], or U8, in [0, 255]
}

// FromImage copies an image to a new tensor in p. Colours are those of color.NRGBA, with 8 bits and not multiplied
// by alpha, which 3 channels leave out; luminance is that of color.Gray. Other options than there are panic with a
// *tensor.Error.
func FromImage(p tensor.Place, m image.Image, o Options) *tensor.Tensor {
	if o.Channels == 0 {
		o.Channels = 3
	}
	b := m.Bounds()
	h, w, c := b.Dy(), b.Dx(), o.Channels
	shape := []int{c, h, w}
	if o.Layout == HWC {
		shape = []int{h, w, c}
	}
	if c != 1 && c != 3 && c != 4 || o.Layout > HWC || o.DType != tensor.U8 && !o.DType.IsFloat() {
		panic(&tensor.Error{Op: "tensorimage.FromImage", Shapes: [][]int{shape}, DTypes: []tensor.DType{o.DType},
			Reason: fmt.Sprintf("an image has 1, 3 or 4 channels, not %d, of U8 or a float dtype", c)})
	}
	channel, pixel := h*w, 1
	if o.Layout == HWC {
		channel, pixel = 1, c
	}
	levels := make([]uint8, h*w*c)
	at := pixels(m, c)
	for y := range h {
		for x := range w {
			v := at(b.Min.X+x, b.Min.Y+y)
			to := (y*w + x) * pixel
			for k := range c {
				levels[to+k*channel] = v[k]
			}
		}
	}
	if o.DType == tensor.U8 {
		return tensor.FromSlice(p, levels, shape...)
	}
	values := make([]float32, len(levels))
	for i, v := range levels {
		values[i] = float32(v) / 255
	}
	if o.DType == tensor.F32 {
		return tensor.FromSlice(p, values, shape...)
	}
	t := tensor.Empty(p, o.DType, shape...)
	s := t.Device().NewScope()
	defer s.Close()
	t.CopyFrom(tensor.FromSlice(s, values, shape...))
	return t
}

// pixels is what gives the levels of a pixel.
func pixels(m image.Image, channels int) func(x, y int) [4]uint8 {
	if channels == 1 {
		if g, ok := m.(*image.Gray); ok {
			return func(x, y int) [4]uint8 { return [4]uint8{g.Pix[g.PixOffset(x, y)]} }
		}
		return func(x, y int) [4]uint8 { return [4]uint8{color.GrayModel.Convert(m.At(x, y)).(color.Gray).Y} }
	}
	if n, ok := m.(*image.NRGBA); ok {
		return func(x, y int) [4]uint8 { return [4]uint8(n.Pix[n.PixOffset(x, y):][:4]) }
	}
	return func(x, y int) [4]uint8 {
		v := color.NRGBAModel.Convert(m.At(x, y)).(color.NRGBA)
		return [4]uint8{v.R, v.G, v.B, v.A}
	}
}

// ToImage is the image of a tensor that FromImage could have made: a *image.Gray of one channel, also without that
// axis, and a *image.NRGBA of three or four. Floats are rounded to the nearest of 256 levels, and what lies outside
// of [0, 1] is cut off; NaN is 0. It waits for the device. Other shapes and dtypes panic with a *tensor.Error.
func ToImage(t *tensor.Tensor, layout Layout) image.Image {
	h, w, c := -1, -1, 1
	switch shape := t.Shape(); {
	case len(shape) == 2:
		h, w = shape[0], shape[1]
	case len(shape) == 3 && layout == CHW:
		c, h, w = shape[0], shape[1], shape[2]
	case len(shape) == 3 && layout == HWC:
		h, w, c = shape[0], shape[1], shape[2]
	}
	if h < 0 || c != 1 && c != 3 && c != 4 || t.DType() != tensor.U8 && !t.DType().IsFloat() {
		want := "[C, H, W]"
		if layout == HWC {
			want = "[H, W, C]"
		}
		panic(&tensor.Error{Op: "tensorimage.ToImage", Shapes: [][]int{t.Shape()}, DTypes: []tensor.DType{t.DType()},
			Reason: "an image is " + want + " or [H, W] with 1, 3 or 4 channels, of U8 or a float dtype"})
	}
	levels := levelsOf(t)
	channel, pixel := h*w, 1
	if layout == HWC {
		channel, pixel = 1, c
	}
	if c == 1 {
		return &image.Gray{Pix: levels, Stride: w, Rect: image.Rect(0, 0, w, h)}
	}
	m := image.NewNRGBA(image.Rect(0, 0, w, h))
	for i := range h * w {
		to := m.Pix[4*i:][:4]
		to[3] = math.MaxUint8
		for k := range c {
			to[k] = levels[i*pixel+k*channel]
		}
	}
	return m
}

// levelsOf is the elements as levels of 8 bits.
func levelsOf(t *tensor.Tensor) []uint8 {
	if t.DType() == tensor.U8 {
		return tensor.ToSlice[uint8](t)
	}
	levels := make([]uint8, t.Len())
	for i, v := range tensor.ToSlice[float32](t) {
		if v > 0 { // not so for NaN
			levels[i] = uint8(min(v, 1)*255 + 0.5)
		}
	}
	return levels
}
