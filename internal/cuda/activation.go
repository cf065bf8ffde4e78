package cuda

import "github.com/hone-ml/hone/internal/backend"

// ActivationBackward sets dx = dy·f'(x), in one pass over memory.
func (b *Backend) ActivationBackward(op backend.UnaryOp, dx, dy, kept *backend.View) {
	type args struct {
		nest nest3
		op   int32
	}
	newNest(0, dx, dy, kept).parts(b.most, func(n *nest, _ int) {
		name, width := "activation_backward_"+class(dx.DType), 1
		if hot(dx.DType) && n.vectorizes(4, false) {
			name, width = "activation_backward_vectors_"+dx.DType.String(), 4
		}
		a := args{device[[3]deviceOperand](n, width), int32(op)}
		launch(b, b.function("activation", name), blocks(int(a.nest.count)), blockThreads, 0, &a)
	})
}
