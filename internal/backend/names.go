package backend

var unaryNames = [...]string{Neg: "Neg", Abs: "Abs", Square: "Square", Sign: "Sign", Not: "Not", Exp: "Exp", Log: "Log", Sqrt: "Sqrt", Rsqrt: "Rsqrt",
	Sin: "Sin", Cos: "Cos", Tanh: "Tanh", Sigmoid: "Sigmoid", SiLU: "SiLU", ReLU: "ReLU", Reciprocal: "Reciprocal",
	Exp2: "Exp2", Expm1: "Expm1", Log2: "Log2", Log10: "Log10", Log1p: "Log1p", Tan: "Tan", Asin: "Asin", Acos: "Acos", Atan: "Atan",
	Sinh: "Sinh", Cosh: "Cosh", Asinh: "Asinh", Acosh: "Acosh", Atanh: "Atanh", Erf: "Erf", Erfc: "Erfc",
	Floor: "Floor", Ceil: "Ceil", Trunc: "Trunc", Round: "Round", Softplus: "Softplus",
	GELU: "GELU", GELUSlope: "GELUSlope", GELUTanh: "GELUTanh", GELUTanhSlope: "GELUTanhSlope"}

var binaryNames = [...]string{Add: "Add", Sub: "Sub", Mul: "Mul", Div: "Div", Max: "Max", Min: "Min", Pow: "Pow",
	Atan2: "Atan2", Hypot: "Hypot", Remainder: "Remainder", Fmod: "Fmod", And: "And", Or: "Or", Xor: "Xor",
	Eq: "Eq", Ne: "Ne", Lt: "Lt", Le: "Le", Gt: "Gt", Ge: "Ge"}

var reduceNames = [...]string{Sum: "Sum", ReduceMax: "Max", ReduceMin: "Min", Prod: "Prod", ArgMax: "ArgMax", ArgMin: "ArgMin"}

// String is the name of the constant.
func (op UnaryOp) String() string { return unaryNames[op] }

// String is the name of the constant.
func (op BinaryOp) String() string { return binaryNames[op] }

// String is the name of the constant without "Reduce".
func (op ReduceOp) String() string { return reduceNames[op] }
