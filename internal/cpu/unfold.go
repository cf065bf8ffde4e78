package cpu

import (
	"unsafe"

	"github.com/hone-ml/hone/internal/backend"
	"github.com/hone-ml/hone/internal/cpu/pool"
)

// Unfold sets columns to the patches that a kernel sees of images.
func (*Backend) Unfold(columns, images *backend.View, w backend.Window) {
	switch images.DType.Size() {
	case 1:
		unfold[uint8](columns, images, &w)
	case 2:
		unfold[uint16](columns, images, &w)
	case 4:
		unfold[uint32](columns, images, &w)
	default:
		unfold[uint64](columns, images, &w)
	}
}

func unfold[T element](columns, images *backend.View, w *backend.Window) {
	n, c := images.Shape[0], images.Shape[1]
	plane, places, taps := w.Size[0]*w.Size[1], w.Places(), w.Taps()
	size, kernel := sizeOf[T](), tapsOf(w)
	pool.Run(c*taps*n, 1+grainCheap/max(places, 1), func(lo, hi int) {
		for task := lo; task < hi; task++ {
			channel, k, image := task/(taps*n), task/n%taps, task%n
			readTap(&kernel[k], slice[T](unsafe.Add(columns.Ptr, task*places*size), places),
				slice[T](unsafe.Add(images.Ptr, (image*c+channel)*plane*size), plane))
		}
	})
}

// Fold sets images to the sums of the columns that see them, tap by tap.
func (*Backend) Fold(images, columns *backend.View, w backend.Window) {
	if images.DType == backend.F64 {
		foldColumns[float64](images, columns, &w)
	} else {
		foldColumns[float32](images, columns, &w)
	}
}

func foldColumns[T float](images, columns *backend.View, w *backend.Window) {
	n, c := images.Shape[0], images.Shape[1]
	plane, places, taps := w.Size[0]*w.Size[1], w.Places(), w.Taps()
	add, kernel := arithmetic[T](backend.Add), tapsOf(w)
	pool.Run(n*c, 1+grainCheap/max(taps*places, 1), func(lo, hi int) {
		for task := lo; task < hi; task++ {
			image, channel := task/c, task%c
			dst := slice[T](images.Ptr, n*c*plane)[task*plane:][:plane]
			clear(dst)
			for k := range kernel {
				addTap(&kernel[k], dst, slice[T](columns.Ptr, c*taps*n*places)[((channel*taps+k)*n+image)*places:][:places], add)
			}
		}
	})
}

// A tap is what one element of a kernel sees of an image: at place (y, x) its element (y·stride + top,
// x·stride + left), which exists for rows [y0, y1) and columns [x0, x1) of places.
type tap struct {
	w              *backend.Window
	top, left      int
	y0, y1, x0, x1 int
}

// tapsOf is the taps of a kernel.
func tapsOf(w *backend.Window) []tap {
	taps := make([]tap, w.Taps())
	for k := range taps {
		t := tap{w: w, top: k/w.Kernel[1]*w.Dilation[0] - w.Before[0], left: k%w.Kernel[1]*w.Dilation[1] - w.Before[1]}
		t.y0, t.y1 = visible(t.top, w.Stride[0], w.Size[0], w.Result[0])
		t.x0, t.x1 = visible(t.left, w.Stride[1], w.Size[1], w.Result[1])
		taps[k] = t
	}
	return taps
}

// visible is the range of places p in [0, places) for which p·stride + first lies in [0, size).
func visible(first, stride, size, places int) (lo, hi int) {
	if first < 0 {
		lo = (-first + stride - 1) / stride
	}
	if last := size - 1 - first; last >= 0 {
		hi = min(last/stride+1, places)
	}
	return min(lo, hi), hi
}

// whole reports whether a block of rows of places is a block of the image, shifted: the columns that do not exist
// are then those that wrap around, and shift is how far.
func (t *tap) whole() (shift int, ok bool) {
	w := t.w
	return t.top*w.Size[1] + t.left, w.Stride == [2]int{1, 1} && w.Size[1] == w.Result[1] && t.x0 < t.x1
}

// inside is the places whose elements lie within the image, if they are numbered on through the rows [y0, y1).
func (t *tap) inside(shift int) (lo, hi int) {
	width := t.w.Result[1]
	return max(t.y0*width, -shift), min(t.y1*width, t.w.Size[0]*width-shift)
}

// blank clears the places whose elements do not exist.
func blank[T element](t *tap, places []T) {
	width := t.w.Result[1]
	clear(places[:t.y0*width])
	clear(places[t.y1*width:])
	if t.x0 == 0 && t.x1 == width {
		return
	}
	for y := t.y0; y < t.y1; y++ {
		row := places[y*width:][:width]
		clear(row[:t.x0])
		clear(row[t.x1:])
	}
}

// readTap sets places to what a tap sees of an image.
func readTap[T element](t *tap, places, image []T) {
	w := t.w
	width := w.Result[1]
	if shift, ok := t.whole(); ok && t.y0 < t.y1 {
		lo, hi := t.inside(shift)
		copy(places[lo:hi], image[lo+shift:])
		blank(t, places)
		return
	}
	blank(t, places)
	for y := t.y0; y < t.y1 && t.x0 < t.x1; y++ {
		row := places[y*width:][:width]
		from := image[(y*w.Stride[0]+t.top)*w.Size[1]:][:w.Size[1]]
		if w.Stride[1] == 1 {
			copy(row[t.x0:t.x1], from[t.x0+t.left:])
			continue
		}
		for x := t.x0; x < t.x1; x++ {
			row[x] = from[x*w.Stride[1]+t.left]
		}
	}
}

// addTap adds places to the elements of an image that a tap sees. It may clear the places that see nothing.
func addTap[T float](t *tap, image, places []T, add func(out, x, y []T)) {
	w := t.w
	width := w.Result[1]
	if shift, ok := t.whole(); ok && t.y0 < t.y1 {
		blank(t, places)
		lo, hi := t.inside(shift)
		to := image[lo+shift : hi+shift]
		add(to, to, places[lo:hi])
		return
	}
	for y := t.y0; y < t.y1 && t.x0 < t.x1; y++ {
		row := places[y*width:][:width]
		to := image[(y*w.Stride[0]+t.top)*w.Size[1]:][:w.Size[1]]
		if w.Stride[1] == 1 {
			to = to[t.x0+t.left : t.x1+t.left]
			add(to, to, row[t.x0:t.x1])
			continue
		}
		for x := t.x0; x < t.x1; x++ {
			to[x*w.Stride[1]+t.left] += row[x]
		}
	}
}
