package tensor

import (
	"runtime"
	"slices"
	"unsafe"

	"github.com/hone-ml/hone/internal/arena"
	"github.com/hone-ml/hone/internal/backend"
)

// A Tensor is a strided view of device memory. Long-lived tensors may be read by several goroutines;
// those of a scope belong to the goroutine that uses the scope.
type Tensor struct {
	view  backend.View
	dev   *Device
	scope *Scope   // nil: long-lived
	mem   *storage // the memory under the view, shared by views of it
	own   storage  // *mem of the tensor that allocated

	trainable bool    // a long-lived tensor that wants gradients
	guestOf   *Tensor // what this tensor stands for in its scope: a long-lived tensor, or one of the parent scope
	needsGrad bool
	born      uint32  // the tape's generation in which t was recorded
	grad      *Tensor // what Backward has gathered so far
}

// storage is a piece of memory and its state.
type storage struct {
	block      *arena.Block
	version    uint32 // bumped by every in-place op
	long       bool   // of a long-lived tensor, which several goroutines may read: uses and refs stay as they are
	transient  bool   // made by Backward, which may overwrite it
	dead       bool   // its scope was closed, or it was freed
	uses       int32  // how often backward will need it
	inner      bool   // of a block that has ended: freed after its last use
	remakeable bool   // of a selective block that has ended: backward computes it again, see recipe
	recipe     *recipe
	at         unsafe.Pointer // where it was when the tensors that backward needs were made, if remakeable
	refs       int32          // gradients waiting in Backward
	cleanup    runtime.Cleanup
	host       any // keeps memory alive that the tensor was bound to, see Bind
}

// alloc is a new contiguous tensor, contents undefined.
func alloc(p Place, dt DType, shape ...int) *Tensor {
	dev, s := p.place()
	n := 1
	for _, d := range shape {
		if d < 0 {
			badShape("alloc", dt, shape, "negative dimension")
		}
		if d > 0 && n > (1<<55)/dt.Size()/d {
			badShape("alloc", dt, shape, "more elements than memory can address")
		}
		n *= d
	}
	if len(shape) > MaxRank {
		badShape("alloc", dt, shape, "more than %d axes", MaxRank)
	}
	if dt.IsQuantized() && (len(shape) == 0 || shape[len(shape)-1]%dt.Block() != 0) {
		badShape("alloc", dt, shape, "the last axis must be a multiple of the %d elements of a block", dt.Block())
	}
	n = dt.Bytes(n)
	t := &Tensor{dev: dev, scope: s}
	t.mem = &t.own
	if s != nil {
		t.own.block = s.alloc(n)
		t.own.transient = s.backward
		s.storages = append(s.storages, t.mem)
	} else {
		t.own.block = dev.allocLong(n)
		t.own.long = true
		t.own.cleanup = runtime.AddCleanup(t, dev.forget, t.own.block)
	}
	t.view = backend.NewView(t.own.block.Ptr(), dt, shape...)
	return t
}

// like is a new tensor with t's shape and dtype in t's scope.
func like(t *Tensor) *Tensor { return alloc(t.scope, t.view.DType, t.view.Dims()...) }

// Shape is a copy of the dimensions.
func (t *Tensor) Shape() []int { return slices.Clone(t.view.Dims()) }

// Rank is the number of axes.
func (t *Tensor) Rank() int { return t.view.Rank }

// Dim is the length of an axis; negative axes count from the end.
func (t *Tensor) Dim(axis int) int { return t.view.Shape[t.axis("Dim", axis)] }

// Len is the number of elements.
func (t *Tensor) Len() int { return t.view.Len() }

// DType is the type of the elements.
func (t *Tensor) DType() DType { return t.view.DType }

// Device is where t lives.
func (t *Tensor) Device() *Device { return t.dev }

// Scope is the scope in which t lives, nil for a long-lived tensor. A module makes constants there.
func (t *Tensor) Scope() *Scope { return t.scope }

// IsContiguous reports whether the elements lie one behind the other in row-major order.
func (t *Tensor) IsContiguous() bool { return t.view.Contiguous() }

// Trainable reports whether t is a long-lived tensor that wants gradients.
func (t *Tensor) Trainable() bool { return t.trainable }

// SetTrainable says whether a long-lived float tensor wants gradients. It panics for other tensors.
func (t *Tensor) SetTrainable(on bool) {
	if t.scope != nil {
		fail("SetTrainable", []*Tensor{t}, "only a long-lived tensor can be a parameter")
	}
	if !t.view.DType.IsFloat() {
		fail("SetTrainable", []*Tensor{t}, "gradients need a float dtype")
	}
	t.trainable = on
}

// In is t as a guest of s: a view that costs nothing, through which gradients flow to a trainable t.
// A tensor of s is returned as it is; one of another scope panics.
func (t *Tensor) In(s *Scope) *Tensor {
	t.alive("In")
	switch {
	case t.scope == s:
		return t
	case t.scope != nil:
		fail("In", []*Tensor{t}, "the tensor belongs to another scope")
	case t.dev != s.dev:
		fail("In", []*Tensor{t}, "the tensor is on %s, the scope on %s", t.dev.Name(), s.dev.Name())
	}
	if t.trainable {
		s.sawTrainable()
	}
	s.guests = append(s.guests, t)
	return &Tensor{view: t.view, dev: t.dev, scope: s, mem: t.mem, guestOf: t, needsGrad: t.trainable && s.tape != nil}
}

// Free gives the memory of a long-lived tensor back at once, rather than when the garbage collector
// finds that nobody refers to it. Any later use panics. Tensors of a scope are freed by the scope.
func (t *Tensor) Free() {
	if t.scope != nil || t.mem != &t.own {
		fail("Free", []*Tensor{t}, "only a long-lived tensor that owns its memory can be freed")
	}
	if !t.mem.dead {
		t.mem.dead = true
		t.own.cleanup.Stop()
		t.dev.forget(t.own.block)
	}
}

// alias is another view of t's memory in the same place.
func (t *Tensor) alias(v backend.View) *Tensor {
	return &Tensor{view: v, dev: t.dev, scope: t.scope, mem: t.mem}
}

func (t *Tensor) alive(op string) {
	if t.mem.dead {
		fail(op, []*Tensor{t}, "the tensor is used after its scope was closed or reset, or after Free")
	}
}

func (t *Tensor) axis(op string, axis int) int {
	a := axis
	if a < 0 {
		a += t.view.Rank
	}
	if a < 0 || a >= t.view.Rank {
		fail(op, []*Tensor{t}, "axis %d is not one of %d", axis, t.view.Rank)
	}
	return a
}
