package cuda

import (
	"fmt"
	"reflect"
	"sync"
	"unsafe"

	"github.com/hone-ml/hone/internal/backend"
	"github.com/hone-ml/hone/internal/cuda/kernels"
)

// A dim3 is the number of blocks of a grid along each axis.
type dim3 struct{ X, Y, Z int }

// A function is a kernel that is loaded.
type function struct {
	family, name string
	entry        *entry
	handle       Function

	mu     sync.Mutex
	args   reflect.Type // the struct of arguments whose layout was found to be right
	shared int          // bytes of dynamic shared memory that the driver was told of
}

// A family is the kernels of one PTX file, compiled for the device on first use.
type family struct {
	once    sync.Once
	err     error
	module  Module
	entries map[string]*entry

	functions sync.Map // name to *function
}

// function finds a kernel of kernels/<family>.ptx, which is compiled when its first kernel is asked for. A name that
// does not exist, or PTX that the driver refuses, panics with a *backend.DeviceError.
func (b *Backend) function(familyName, name string) *function {
	v, ok := b.families.Load(familyName)
	if !ok {
		v, _ = b.families.LoadOrStore(familyName, new(family))
	}
	fam := v.(*family)
	if f, ok := fam.functions.Load(name); ok {
		return f.(*function)
	}
	fam.once.Do(func() { fam.err = b.load(fam, familyName) })
	if fam.err != nil {
		panic(&backend.DeviceError{Device: b.name, Kernel: familyName + "/" + name, Cause: fam.err})
	}
	e := fam.entries[name]
	if e == nil {
		panic(&backend.DeviceError{Device: b.name, Kernel: familyName + "/" + name, Cause: fmt.Errorf("%s.ptx has no such kernel", familyName)})
	}
	handle, err := b.ctx.Function(fam.module, name)
	if err != nil {
		panic(&backend.DeviceError{Device: b.name, Kernel: familyName + "/" + name, Cause: err})
	}
	f, _ := fam.functions.LoadOrStore(name, &function{family: familyName, name: name, entry: e, handle: handle})
	return f.(*function)
}

func (b *Backend) load(fam *family, name string) error {
	ptx, err := kernels.PTX(name)
	if err != nil {
		return err
	}
	if fam.entries, err = entries(ptx); err != nil {
		return err
	}
	fam.module, err = b.ctx.LoadModule(ptx)
	return err
}

// launch issues a kernel on the compute stream: grid blocks of block threads each, with dynamicShared bytes of shared
// memory besides the kernel's own. args is a struct whose fields are the kernel's parameters in order: unsafe.Pointer
// for a pointer, int32 and so on for numbers, a struct or array for a struct by value. Its layout is compared with
// that which the PTX declares when it is first used. A grid without blocks does nothing.
//
// A failure is kept, and reported by Sync and CopyOut; kernels after it are not issued.
func launch[A any](b *Backend, f *function, grid dim3, block, dynamicShared int, args *A) {
	if grid.X == 0 || grid.Y == 0 || grid.Z == 0 {
		return
	}
	f.prepare(b, reflect.TypeFor[A](), dynamicShared)
	params := unsafe.Slice((*byte)(unsafe.Pointer(args)), f.entry.bytes())
	if b.failure() != nil {
		return
	}
	if err := b.ctx.Launch(f.handle, [3]int{grid.X, grid.Y, grid.Z}, block, dynamicShared, b.compute, params); err != nil {
		b.fail(&backend.DeviceError{Device: b.name, Kernel: f.family + "/" + f.name, Cause: err})
	}
}

// prepare checks the layout of a struct of arguments and tells the driver of much shared memory, both once.
func (f *function) prepare(b *Backend, args reflect.Type, dynamicShared int) {
	const withoutAsking = 48 << 10
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.args != args {
		if err := checkLayout(f.entry, args); err != nil {
			panic(&backend.DeviceError{Device: b.name, Kernel: f.family + "/" + f.name, Cause: err})
		}
		f.args = args
	}
	if dynamicShared > max(f.shared, withoutAsking) {
		if err := b.ctx.SetDynamicShared(f.handle, dynamicShared); err != nil {
			b.fail(&backend.DeviceError{Device: b.name, Kernel: f.family + "/" + f.name, Cause: err})
		}
		f.shared = dynamicShared
	}
}

// checkLayout compares a struct of arguments with the parameters of a kernel: a number in the wrong place is garbage
// on the device, and a float that travels as an integer is another number.
func checkLayout(e *entry, args reflect.Type) error {
	if args.Kind() != reflect.Struct {
		return fmt.Errorf("arguments are a %v, not a struct", args)
	}
	if n := args.NumField(); n != len(e.params) {
		return fmt.Errorf("%v has %d fields, the kernel %d parameters", args, n, len(e.params))
	}
	for i, p := range e.params {
		f := args.Field(i)
		if int(f.Offset) != p.offset || int(f.Type.Size()) != p.size || !sameKind(p.kind, f.Type.Kind()) {
			return fmt.Errorf("field %s of %v is a %v at offset %d, the kernel's parameter %d is %s of %d bytes at offset %d",
				f.Name, args, f.Type, f.Offset, i, p.kind, p.size, p.offset)
		}
	}
	return nil
}

func sameKind(kind string, k reflect.Kind) bool {
	switch kind {
	case ".f32":
		return k == reflect.Float32
	case ".f64":
		return k == reflect.Float64
	case ".b8":
		return k == reflect.Struct || k == reflect.Array
	}
	switch k {
	case reflect.UnsafePointer, reflect.Int64, reflect.Uint64, reflect.Int32, reflect.Uint32, reflect.Int16, reflect.Uint16, reflect.Int8, reflect.Uint8:
		return true
	}
	return false
}

// maxElements is how many elements a kernel can go over.
const maxElements = 1<<31 - 1
