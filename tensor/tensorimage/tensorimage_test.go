package tensorimage_test

import (
	"errors"
	"fmt"
	"image"
	"image/color"
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/hone-ml/hone/tensor"
	"github.com/hone-ml/hone/tensor/tensorimage"
)

// picture is two pixels high and three wide, and begins at (1, 2).
func picture() *image.NRGBA {
	m := image.NewNRGBA(image.Rect(1, 2, 4, 4))
	for i := range m.Pix {
		m.Pix[i] = uint8(10*i + 7)
	}
	return m
}

func TestImagesBecomeTensorsOfEitherLayout(t *testing.T) {
	s := tensor.CPU().NewScope()
	defer s.Close()
	m := picture()
	for _, c := range []int{3, 4} {
		chw := tensorimage.FromImage(s, m, tensorimage.Options{Channels: c, DType: tensor.U8})
		hwc := tensorimage.FromImage(s, m, tensorimage.Options{Channels: c, DType: tensor.U8, Layout: tensorimage.HWC})
		if !slices.Equal(chw.Shape(), []int{c, 2, 3}) || !slices.Equal(hwc.Shape(), []int{2, 3, c}) {
			t.Errorf("shapes %v, %v", chw.Shape(), hwc.Shape())
		}
		if !slices.Equal(chw.Bytes(), hwc.Permute(2, 0, 1).Bytes()) {
			t.Errorf("%s and %s differ", chw, hwc)
		}
		for y := range 2 {
			for x := range 3 {
				v := m.NRGBAAt(1+x, 2+y)
				want := []uint8{v.R, v.G, v.B, v.A}[:c]
				if got := hwc.Index(y).Index(x).Bytes(); !slices.Equal(got, want) {
					t.Errorf("pixel %d, %d is %v, want %v", x, y, got, want)
				}
			}
		}
	}
}

func TestFloatsAreLevelsOf255(t *testing.T) {
	s := tensor.CPU().NewScope()
	defer s.Close()
	levels := tensorimage.FromImage(s, picture(), tensorimage.Options{DType: tensor.U8}).Float64s()
	for dt, tolerance := range map[tensor.DType]float64{tensor.F32: 1e-7, tensor.F64: 1e-7, tensor.BF16: 0x1p-8, tensor.F16: 0x1p-11} {
		for _, p := range []tensor.Place{s, tensor.CPU()} {
			x := tensorimage.FromImage(p, picture(), tensorimage.Options{DType: dt})
			if x.DType() != dt {
				t.Errorf("%s, want %s", x, dt)
			}
			for i, v := range x.Float64s() {
				if math.Abs(v-levels[i]/255) > tolerance {
					t.Errorf("%s: %g, want %g / 255", dt, v, levels[i])
				}
			}
		}
	}
}

func TestImagesGoThereAndBack(t *testing.T) {
	s := tensor.CPU().NewScope()
	defer s.Close()
	gray := image.NewGray(image.Rect(0, 0, 3, 2))
	for i := range gray.Pix {
		gray.Pix[i] = uint8(50 * i)
	}
	for _, layout := range []tensorimage.Layout{tensorimage.CHW, tensorimage.HWC} {
		for _, dt := range []tensor.DType{tensor.U8, tensor.F32, tensor.F16} {
			for c, m := range map[int]image.Image{1: gray, 4: picture()} {
				x := tensorimage.FromImage(s, m, tensorimage.Options{Layout: layout, Channels: c, DType: dt})
				back := tensorimage.ToImage(x, layout)
				b := m.Bounds()
				if back.Bounds() != image.Rect(0, 0, b.Dx(), b.Dy()) {
					t.Fatalf("bounds %v", back.Bounds())
				}
				for y := range b.Dy() {
					for x := range b.Dx() {
						if got, want := back.At(x, y), m.At(b.Min.X+x, b.Min.Y+y); got != want {
							t.Errorf("layout %d, %s, %d channels: pixel %d, %d is %v, want %v", layout, dt, c, x, y, got, want)
						}
					}
				}
			}
		}
	}
}

func TestImagesOfOtherColourModelsAreConverted(t *testing.T) {
	s := tensor.CPU().NewScope()
	defer s.Close()
	m := image.NewRGBA(image.Rect(0, 0, 1, 1)) // multiplied by alpha
	m.SetRGBA(0, 0, color.RGBA{100, 50, 0, 200})
	if got := tensorimage.FromImage(s, m, tensorimage.Options{Channels: 4, DType: tensor.U8}).Bytes(); !slices.Equal(got, []uint8{127, 63, 0, 200}) {
		t.Error(got)
	}
	red := image.NewUniform(color.RGBA{255, 0, 0, 255})
	one := image.NewPaletted(image.Rect(0, 0, 1, 1), color.Palette{red.C})
	if got := tensorimage.FromImage(s, one, tensorimage.Options{Channels: 1, DType: tensor.U8}).Bytes(); !slices.Equal(got, []uint8{76}) {
		t.Error(got)
	}
}

func TestNumbersOutsideOfTheLevelsAreCutOff(t *testing.T) {
	s := tensor.CPU().NewScope()
	defer s.Close()
	x := tensor.FromSlice(s, []float32{-1, 0, 0.5, 1, 7, float32(math.NaN())}, 2, 3)
	if got := tensorimage.ToImage(x, tensorimage.CHW).(*image.Gray).Pix; !slices.Equal(got, []uint8{0, 0, 128, 255, 255, 0}) {
		t.Error(got)
	}
	three := tensorimage.ToImage(tensor.Zeros(s, tensor.F32, 3, 1, 1), tensorimage.CHW)
	if got := three.At(0, 0); got != (color.NRGBA{A: 255}) {
		t.Errorf("an image without alpha has %v", got)
	}
}

func TestAnEmptyImageIsAnEmptyTensor(t *testing.T) {
	x := tensorimage.FromImage(tensor.CPU(), image.NewGray(image.Rect(0, 0, 0, 3)), tensorimage.Options{})
	if !slices.Equal(x.Shape(), []int{3, 3, 0}) || tensorimage.ToImage(x, tensorimage.CHW).Bounds().Dx() != 0 {
		t.Error(x)
	}
}

func TestWhatIsNoImageIsRefused(t *testing.T) {
	d := tensor.CPU()
	for says, fn := range map[string]func(){
		"tensor: tensorimage.ToImage f32[2 3 4]: an image is [C, H, W] or [H, W] with 1, 3 or 4 channels": func() { tensorimage.ToImage(tensor.Zeros(d, tensor.F32, 2, 3, 4), tensorimage.CHW) },
		"f32[3 4 5]: an image is [H, W, C]":     func() { tensorimage.ToImage(tensor.Zeros(d, tensor.F32, 3, 4, 5), tensorimage.HWC) },
		"f32[3]: an image":                      func() { tensorimage.ToImage(tensor.Zeros(d, tensor.F32, 3), tensorimage.CHW) },
		"i32[2 2]: an image":                    func() { tensorimage.ToImage(tensor.Zeros(d, tensor.I32, 2, 2), tensorimage.CHW) },
		"1, 3 or 4 channels, not 2":             func() { tensorimage.FromImage(d, picture(), tensorimage.Options{Channels: 2}) },
		"tensor: tensorimage.FromImage i32[3 2": func() { tensorimage.FromImage(d, picture(), tensorimage.Options{DType: tensor.I32}) },
	} {
		err := tensor.Try(fn)
		var misuse *tensor.Error
		if !errors.As(err, &misuse) || !strings.Contains(err.Error(), says) {
			t.Errorf("got %v, want %s", err, says)
		}
	}
}

func ExampleFromImage() {
	m := image.NewGray(image.Rect(0, 0, 3, 2))
	m.SetGray(1, 0, color.Gray{Y: 255})
	s := tensor.CPU().NewScope()
	defer s.Close()
	fmt.Println(tensorimage.FromImage(s, m, tensorimage.Options{Channels: 1}).Index(0))
	// Output:
	// f32[2 3]
	// [[0 1 0]
	//  [0 0 0]]
}
