package ptxsim

// A Module is a parsed PTX source. It holds no state of a run: any number of devices may launch its kernels.
type Module struct {
	Version string // of the ISA, as "7.0"
	Target  string // as "sm_80"
	Kernels []*Kernel

	variables map[string]*variable // module-level .global, .const and .shared
	functions map[string]*function
}

// Kernel returns the entry point of that name, or nil if there is none.
func (m *Module) Kernel(name string) *Kernel {
	for _, k := range m.Kernels {
		if k.Name == name {
			return k
		}
	}
	return nil
}

// A Param is a parameter of a kernel: where it lies in the packed parameter buffer, which has natural alignment.
type Param struct {
	Name, Type          string // Type as written: "u64", "f32", "b8" for a struct passed by value
	Offset, Size, Align int    // bytes
}

// A Kernel is an entry point, decoded and ready to run.
type Kernel struct {
	Name         string
	Params       []Param
	ParamBytes   int // size of the parameter buffer
	StaticShared int // bytes
	MaxThreads   int // of a block, from .maxntid or .reqntid; 0: not given
	Registers    int // slots that a warp needs for its registers, predicates apart
	Local        int // bytes of .local memory of each thread

	module      *Module
	code        []instr
	regs, preds int
	specials    []special
	consts      []lanes
	relocs      []reloc
	dynamicBase int // shared address of extern arrays
	memories    int // instructions that remember the allocation they met last
}

// A variable is a named array in some state space, at module or function level.
type variable struct {
	name    string
	space   string // global, const, shared, local, param
	typ     typ
	align   int
	size    int
	extern  bool
	init    []byte
	offset  int // shared, local and param: address within the space
	line    int
	symbols []initSymbol
}

// An initSymbol is an address of another variable in an initialiser.
type initSymbol struct {
	offset int
	name   string
	add    int64
}

// A function is the parsed text of an .entry or .func.
type function struct {
	name       string
	entry      bool
	params     []*variable
	results    []*variable
	maxThreads int
	body       []statement
	labels     map[labelKey]int // → index into body
	variables  []*variable      // declared inside
	line       int
}

type labelKey struct {
	scope *scope
	name  string
}

// A scope is a { } block of a function: inline assembly declares its own registers and labels.
type scope struct {
	parent    *scope
	registers map[string]*register
	ranges    map[string]registerRange // prefix → declared as prefix<n>
	variables map[string]*variable
	tables    map[string][]string // .branchtargets
}

type registerRange struct {
	typ typ
	n   int
}

// A register is a virtual register of a function.
type register struct {
	name string
	typ  typ
	slot int32
}

type operandKind uint8

const (
	operandRegister operandKind = iota
	operandImmediate
	operandFloat32 // 0f…
	operandFloat64 // 0d… or a decimal
	operandSymbol  // a variable's address plus offset, or a label
	operandMemory  // [base+offset]
	operandVector  // {a, b, …}
	operandPair    // a|b
	operandSpecial // %tid.x
	operandSink    // _
	operandList    // ( … ) of call
)

type operand struct {
	kind   operandKind
	reg    *register
	name   string // symbol or special
	value  uint64 // immediate, or bits of a float
	offset int64
	not    bool      // !%p
	list   []operand // vector, pair, list; memory: its base
}

// A statement is an instruction before decoding.
type statement struct {
	line     int
	text     string
	guard    *register // @%p
	guardNot bool
	opcode   string
	mods     []string
	operands []operand
	scope    *scope
}
