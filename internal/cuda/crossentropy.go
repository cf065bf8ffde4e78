package cuda

import (
	"unsafe"

	"github.com/hone-ml/hone/internal/backend"
)

// rowTargets are the classes of rows for a kernel: struct Targets of crossentropy.cu.
type rowTargets struct {
	Data                   unsafe.Pointer
	Stride                 int64
	Ignore, First, Classes int32
	Width                  uint32
	Fault                  unsafe.Pointer
}

func (b *Backend) targetsOf(targets, logits *backend.View, a backend.CrossEntropyArgs) rowTargets {
	width := logits.Shape[1]
	classes := a.Classes
	if classes == 0 {
		classes = width
	}
	return rowTargets{targets.Ptr, int64(targets.Strides[0]), int32(a.IgnoreIndex), int32(a.First), int32(classes), uint32(width), b.indexFault(classes)}
}

// CrossEntropy sets lse = log Σ exp(logits) and loss = lse − Σ target·logits for each row.
func (b *Backend) CrossEntropy(loss, lse, logits, targets *backend.View, a backend.CrossEntropyArgs) {
	a.First, a.Classes = 0, 0
	b.crossEntropy(loss, lse, nil, logits, targets, a)
}

// CrossEntropyPart folds a part of each row's logits into its running values.
func (b *Backend) CrossEntropyPart(loss, lse, state, logits, targets *backend.View, a backend.CrossEntropyArgs) {
	b.crossEntropy(loss, lse, state, logits, targets, a)
}

func (b *Backend) crossEntropy(loss, lse, state, logits, targets *backend.View, a backend.CrossEntropyArgs) {
	n, width := logits.Shape[0], logits.Shape[1]
	if n == 0 {
		return
	}
	team := 32
	switch {
	case width > 8192:
		team = 512
	case width > 1024:
		team = 256
	}
	grid, block := teamLaunch(n, team)
	launch(b, b.function("crossentropy", "crossentropy_forward_"+logits.DType.String()), grid, block, 0, &struct {
		Loss, Lse        vectorView
		State            unsafe.Pointer
		X                rowView
		Targets          rowTargets
		N, Vectors, Team uint32
		Smoothing        float64
	}{vectorOf(loss), vectorOf(lse), pointerOf(state), matrixOf(logits), b.targetsOf(targets, logits, a), uint32(n), vectorsOf(logits), uint32(team), a.Smoothing})
}

// CrossEntropyBackward sets dlogits = scale·(softmax(logits) − target) for each row.
func (b *Backend) CrossEntropyBackward(dlogits, logits, lse, targets, scale *backend.View, a backend.CrossEntropyArgs) {
	n, width := logits.Shape[0], logits.Shape[1]
	if logits.Len() == 0 {
		return
	}
	name := "crossentropy_backward_" + logits.DType.String()
	per := 16 / dlogits.DType.Size()
	narrows := dlogits.DType != logits.DType
	if narrows {
		name += "_to_" + dlogits.DType.String()
	}
	vectors := 0
	if fast(logits.DType) && alignedRows(dlogits, logits) {
		vectors = width / per
	}
	block := min(roundUp(ceilDiv(width, per), 32), 512)
	// A row that may be written over while it is read is for one block. Of others there are enough blocks for a large card.
	parts := 1
	if !narrows && n < 512 {
		parts = min(ceilDiv(width, 4*per*block), ceilDiv(512, n))
	}
	launch(b, b.function("crossentropy", name), dim3{n, parts, 1}, block, 0, &struct {
		Dlogits, X rowView
		Lse        vectorView
		Targets    rowTargets
		Scale      vectorView
		N, Vectors uint32
		Smoothing  float64
	}{matrixOf(dlogits), matrixOf(logits), vectorOf(lse), b.targetsOf(targets, logits, a), vectorOf(scale), uint32(n), uint32(vectors), a.Smoothing})
}
