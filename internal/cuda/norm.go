package cuda

import (
	"unsafe"

	"github.com/hone-ml/hone/internal/backend"
)

// A norm is one of the two normalisations of kernels/norm.cuh, by the name of its family.
type norm string

const (
	rmsNorm   norm = "rmsnorm"
	layerNorm norm = "layernorm"
)

// RMSNorm sets rstd = 1/√(mean(x²)+eps) and out = T(x·rstd)·w over the last axis.
func (b *Backend) RMSNorm(out, rstd, x, w *backend.View, eps float64) {
	rmsNorm.forward(b, out, nil, rstd, x, w, nil, eps)
}

// RMSNormBackward sets dx = rstd·(dy·w − x·rstd²·mean(dy·w·x)) and adds Σ dy·x·rstd to dw.
func (b *Backend) RMSNormBackward(dx, dw, dy, x, w, rstd *backend.View) {
	rmsNorm.backward(b, dx, dw, nil, dy, x, w, nil, rstd)
}

// LayerNorm sets mean, rstd = 1/√(mean((x − mean)²)+eps) and out = (x − mean)·rstd·w + b over the last axis.
func (b *Backend) LayerNorm(out, mean, rstd, x, w, bias *backend.View, eps float64) {
	layerNorm.forward(b, out, mean, rstd, x, w, bias, eps)
}

// LayerNormBackward sets dx = rstd·(dy·w − mean(dy·w) − t·mean(dy·w·t)) with t = (x − mean)·rstd, and adds
// Σ dy·t to dw and Σ dy to db.
func (b *Backend) LayerNormBackward(dx, dw, db, dy, x, w, mean, rstd *backend.View) {
	layerNorm.backward(b, dx, dw, db, dy, x, w, mean, rstd)
}

// forward works on the last axis of views of rank 2 or 3.
func (k norm) forward(b *Backend, out, mean, rstd, x, w, bias *backend.View, eps float64) {
	d := x.Shape[x.Rank-1]
	if x.Len() == 0 {
		return
	}
	eachRowSet([]*backend.View{out, x}, func(s rowSet) {
		type scalars struct{ mean, rstd unsafe.Pointer }
		at := scalars{elementOf(mean, s.first), elementOf(rstd, s.first)}
		if team := heldTeam(d, out, x, w, bias); team > 0 {
			teams := teamsOf(team)
			// Several rows a block, so that it loads the weights once for all of them, but blocks enough for a large card.
			rows := min(max(ceilDiv(s.n, 256), teams*k.sums(1)), 32)
			staged := roundUp(d*x.DType.Size(), 16)
			if bias != nil {
				staged *= 2
			}
			launch(b, b.function(string(k), string(k)+"_forward_"+x.DType.String()), dim3{ceilDiv(s.n, rows), 1, 1}, team*teams, staged, &struct {
				Out                     rowView
				Mean, Rstd              unsafe.Pointer
				X                       rowView
				W, B                    unsafe.Pointer
				N, Inner, D, Team, Rows uint32
				Eps                     float64
			}{s.views[0], at.mean, at.rstd, s.views[1], w.Ptr, pointerOf(bias), uint32(s.n), uint32(s.inner), uint32(d), uint32(team), uint32(rows), eps})
			return
		}
		team := looseTeam(d, teamBlock)
		grid, block := teamLaunch(s.n, team)
		launch(b, b.function(string(k), string(k)+"_forward_any_"+x.DType.String()), grid, block, 0, &struct {
			Out               rowView
			Mean, Rstd        unsafe.Pointer
			X                 rowView
			W, B              vectorView
			N, Inner, D, Team uint32
			Eps               float64
		}{s.views[0], at.mean, at.rstd, s.views[1], vectorOf(w), vectorOf(bias), uint32(s.n), uint32(s.inner), uint32(d), uint32(team), eps})
	})
}

// elementOf is the address of element i of a contiguous view, null if the view is nil.
func elementOf(v *backend.View, i int) unsafe.Pointer {
	if v == nil {
		return nil
	}
	return unsafe.Add(v.Ptr, i*v.DType.Size())
}

// backward works on the last axis of views of rank 2 or 3.
func (k norm) backward(b *Backend, dx, dw, db, dy, x, w, mean, rstd *backend.View) {
	d := x.Shape[x.Rank-1]
	if x.Len() == 0 || dx == nil && dw == nil && db == nil {
		return
	}
	eachRowSet([]*backend.View{dx, dy, x}, func(s rowSet) {
		mean, rstd := elementOf(mean, s.first), elementOf(rstd, s.first)
		if team := heldTeam(d, dy, dx, x, w); team > 0 {
			teams := teamsOf(team)
			rows := rowsPerSum(s.n, teams, 24*k.sums(1))
			sums := b.newRowSums(k.sums(d), ceilDiv(s.n, rows), x.DType, dw, db)
			defer sums.done()
			launch(b, b.function(string(k), string(k)+"_backward_"+x.DType.String()), dim3{sums.groups, 1, 1}, team*teams, k.sums(d)*4, &struct {
				Dx                      rowView
				Partials                unsafe.Pointer
				Dy, X                   rowView
				W, Mean, Rstd           unsafe.Pointer
				N, Inner, D, Team, Rows uint32
			}{s.views[0], sums.partials, s.views[1], s.views[2], w.Ptr, mean, rstd, uint32(s.n), uint32(s.inner), uint32(d), uint32(team), uint32(rows)})
			sums.addTo(dw, 0)
			sums.addTo(db, d)
			return
		}
		if dw != nil || db != nil { // first, because dx may be dy
			k.columns(b, dw, db, mean, rstd, s, x.DType, d)
		}
		if dx != nil {
			team := looseTeam(d, teamBlock)
			grid, block := teamLaunch(s.n, team)
			launch(b, b.function(string(k), string(k)+"_backward_any_"+x.DType.String()), grid, block, 0, &struct {
				Dx, Dy, X         rowView
				W                 vectorView
				Mean, Rstd        unsafe.Pointer
				N, Inner, D, Team uint32
			}{s.views[0], s.views[1], s.views[2], vectorOf(w), mean, rstd, uint32(s.n), uint32(s.inner), uint32(d), uint32(team)})
		}
	})
}

// columns adds the sums over rows to dw and db, a column a thread.
func (k norm) columns(b *Backend, dw, db *backend.View, mean, rstd unsafe.Pointer, s rowSet, dt backend.DType, d int) {
	rows := rowsPerSum(s.n, 1, 24*k.sums(1))
	sums := b.newRowSums(k.sums(d), ceilDiv(s.n, rows), dt, dw, db)
	defer sums.done()
	launch(b, b.function(string(k), string(k)+"_columns_"+dt.String()), dim3{ceilDiv(d, teamBlock), sums.groups, 1}, teamBlock, 0, &struct {
		Partials          unsafe.Pointer
		Dy, X             rowView
		Mean, Rstd        unsafe.Pointer
		N, Inner, D, Rows uint32
	}{sums.partials, s.views[1], s.views[2], mean, rstd, uint32(s.n), uint32(s.inner), uint32(d), uint32(rows)})
	sums.addTo(dw, 0)
	sums.addTo(db, d)
}

// sums is how many elements dw and, of layerNorm, db have together.
func (k norm) sums(d int) int {
	if k == layerNorm {
		return 2 * d
	}
	return d
}
