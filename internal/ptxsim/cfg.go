package ptxsim

// setReconvergence gives every branch the instruction at which its lanes meet again: the immediate post-dominator of
// the branch, by the iterative algorithm of Cooper, Harvey and Kennedy ("A Simple, Fast Dominance Algorithm", 2001)
// on the reversed graph of instructions. -1 means that the paths meet only at the end of the thread.
func setReconvergence(code []instr) {
	n := len(code)
	exit := n // a virtual instruction after every exit
	successors := func(i int) []int32 {
		in := &code[i]
		next := int32(i + 1)
		switch in.kind {
		case kindBranch:
			if in.guard < 0 {
				return []int32{in.target}
			}
			return []int32{in.target, next}
		case kindBranchIndexed:
			if in.guard < 0 {
				return in.list
			}
			return append([]int32{next}, in.list...)
		case kindExit:
			if in.guard < 0 || i == n-1 {
				return []int32{int32(exit)}
			}
			return []int32{int32(exit), next}
		}
		return []int32{next}
	}
	predecessors := make([][]int32, n+1)
	for i := range n {
		for _, s := range successors(i) {
			predecessors[s] = append(predecessors[s], int32(i))
		}
	}
	// Postorder of the reversed graph from the virtual exit.
	order := make([]int32, 0, n+1)
	number := make([]int32, n+1)
	for i := range number {
		number[i] = -1
	}
	type visit struct{ node, child int32 }
	stack := []visit{{int32(exit), 0}}
	seen := make([]bool, n+1)
	seen[exit] = true
	for len(stack) > 0 {
		top := &stack[len(stack)-1]
		if p := predecessors[top.node]; int(top.child) < len(p) {
			c := p[top.child]
			top.child++
			if !seen[c] {
				seen[c] = true
				stack = append(stack, visit{c, 0})
			}
			continue
		}
		number[top.node] = int32(len(order))
		order = append(order, top.node)
		stack = stack[:len(stack)-1]
	}
	idom := make([]int32, n+1)
	for i := range idom {
		idom[i] = -1
	}
	idom[exit] = int32(exit)
	intersect := func(a, b int32) int32 {
		for a != b {
			for number[a] < number[b] {
				a = idom[a]
			}
			for number[b] < number[a] {
				b = idom[b]
			}
		}
		return a
	}
	for changed := true; changed; {
		changed = false
		for k := len(order) - 2; k >= 0; k-- {
			i := order[k]
			dom := int32(-1)
			for _, s := range successors(int(i)) {
				if number[s] < 0 || idom[s] < 0 {
					continue // a path that never ends
				}
				if dom < 0 {
					dom = s
				} else {
					dom = intersect(dom, s)
				}
			}
			if dom != idom[i] {
				idom[i] = dom
				changed = true
			}
		}
	}
	for i := range code {
		code[i].reconverge = -1
		if d := idom[i]; code[i].kind == kindBranch || code[i].kind == kindBranchIndexed {
			if d >= 0 && int(d) != exit {
				code[i].reconverge = d
			}
		}
	}
}
