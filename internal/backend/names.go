package backend

var unaryNames = [...]string{Neg: "Neg", Abs: "Abs", Square: "Square", Not: "Not", Exp: "Exp", Log: "Log", Sqrt: "Sqrt", Rsqrt: "Rsqrt",
	Sin: "Sin", Cos: "Cos", Tanh: "Tanh", Sigmoid: "Sigmoid", SiLU: "SiLU", ReLU: "ReLU", Reciprocal: "Reciprocal"}

var binaryNames = [...]string{Add: "Add", Sub: "Sub", Mul: "Mul", Div: "Div", Max: "Max", Min: "Min", Pow: "Pow", And: "And", Or: "Or",
	Eq: "Eq", Ne: "Ne", Lt: "Lt", Le: "Le", Gt: "Gt", Ge: "Ge"}

var reduceNames = [...]string{Sum: "Sum", ReduceMax: "Max", ReduceMin: "Min", ArgMax: "ArgMax", ArgMin: "ArgMin"}

// String is the name of the constant.
func (op UnaryOp) String() string { return unaryNames[op] }

// String is the name of the constant.
func (op BinaryOp) String() string { return binaryNames[op] }

// String is the name of the constant without "Reduce".
func (op ReduceOp) String() string { return reduceNames[op] }
