package backend

// A Window is how a kernel moves over the last two axes of images [N, C, H, W]; each pair is for rows and columns.
// At a place (y, x) of the result, element (i, j) of the kernel sees row y·Stride + i·Dilation − Before of the image,
// and the column likewise, or nothing where that lies outside.
type Window struct {
	Kernel, Stride, Dilation [2]int
	Before, After            [2]int // what is padded in front of an axis and behind it
	Size, Result             [2]int // of an image, and how many places the kernel has
}

// Taps is the number of elements of the kernel.
func (w *Window) Taps() int { return w.Kernel[0] * w.Kernel[1] }

// Places is the number of places that the kernel has on an image.
func (w *Window) Places() int { return w.Result[0] * w.Result[1] }

// Unfolder moves between images and the patches that a kernel sees of them, as columns for matrix products. images
// are [N, C, H, W] and columns [C, taps, N, places], of one dtype, both contiguous.
type Unfolder interface {
	// Unfold sets columns, to 0 where the kernel sees nothing. Any dtype.
	Unfold(columns, images *View, w Window)
	// Fold sets images to the sums of all columns that see them. F32 or F64; it may overwrite columns.
	Fold(images, columns *View, w Window)
}

// DepthwiseConvolver fuses convolutions with one kernel for each channel. All are F32 or F64 and contiguous: x and dx
// [N, C, H, W], out and dy [N, C, places], weight and dw [C, taps].
type DepthwiseConvolver interface {
	Depthwise(out, x, weight *View, w Window)
	// DepthwiseBackward adds to dw. dx or dw may be nil.
	DepthwiseBackward(dx, dw, dy, x, weight *View, w Window)
}

// MaxPooler fuses the maximum over windows: out is T[N, C, places], index, of out's shape, I32, the place y·W + x in
// its image of the first maximum, or of the first NaN if there is one. A window that sees nothing gives −Inf and −1.
// x and dx are T[N, C, H, W]. All are contiguous.
type MaxPooler interface {
	MaxPool(out, index, x *View, w Window)
	MaxPoolBackward(dx, dy, index *View)
}
