// Package all registers every architecture that hone has, for programs that take any model:
//
//	import _ "github.com/hone-ml/hone/models/all"
//
// A program of one model imports that one's package alone.
package all

import (
	_ "github.com/hone-ml/hone/models/llama" // registers llama
	_ "github.com/hone-ml/hone/models/qwen"  // registers qwen2, qwen3 and qwen3_moe
)
