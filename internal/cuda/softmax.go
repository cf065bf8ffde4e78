package cuda

import "github.com/hone-ml/hone/internal/backend"

// Softmax sets out = exp(x − max) / Σ exp(x − max) over the last axis.
func (b *Backend) Softmax(out, x *backend.View) {
	d := x.Shape[x.Rank-1]
	if x.Len() == 0 {
		return
	}
	eachRowSet([]*backend.View{out, x}, func(s rowSet) {
		if team := heldTeam(d, out, x); team > 0 {
			grid, block := teamLaunch(s.n, team)
			launch(b, b.function("softmax", "softmax_forward_"+x.DType.String()), grid, block, 0, &struct {
				Out, X            rowView
				N, Inner, D, Team uint32
			}{s.views[0], s.views[1], uint32(s.n), uint32(s.inner), uint32(d), uint32(team)})
			return
		}
		team := looseTeam(d, 512)
		grid, block := teamLaunch(s.n, team)
		launch(b, b.function("softmax", "softmax_forward_any_"+x.DType.String()), grid, block, 0, &struct {
			Out, X                     rowView
			N, Inner, D, Vectors, Team uint32
		}{s.views[0], s.views[1], uint32(s.n), uint32(s.inner), uint32(d), vectorsOf(out, x), uint32(team)})
	})
}

// SoftmaxBackward sets dx = y·(dy − Σ dy·y) over the last axis.
func (b *Backend) SoftmaxBackward(dx, dy, y *backend.View) {
	d := y.Shape[y.Rank-1]
	if y.Len() == 0 {
		return
	}
	eachRowSet([]*backend.View{dx, dy, y}, func(s rowSet) {
		if team := heldTeam(d, dx, dy, y); team > 0 {
			grid, block := teamLaunch(s.n, team)
			launch(b, b.function("softmax", "softmax_backward_"+y.DType.String()), grid, block, 0, &struct {
				Dx, Dy, Y         rowView
				N, Inner, D, Team uint32
			}{s.views[0], s.views[1], s.views[2], uint32(s.n), uint32(s.inner), uint32(d), uint32(team)})
			return
		}
		team := looseTeam(d, 512)
		grid, block := teamLaunch(s.n, team)
		launch(b, b.function("softmax", "softmax_backward_any_"+y.DType.String()), grid, block, 0, &struct {
			Dx, Dy, Y                  rowView
			N, Inner, D, Vectors, Team uint32
		}{s.views[0], s.views[1], s.views[2], uint32(s.n), uint32(s.inner), uint32(d), vectorsOf(dx, dy, y), uint32(team)})
	})
}
