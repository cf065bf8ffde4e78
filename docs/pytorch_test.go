package docs

import (
	"fmt"
	"os"
	"regexp"
	"strings"
	"testing"
)

// What stands in the right-hand column of coming-from-pytorch.md compiles: each piece of code as a statement.
func TestTheHoneColumnCompiles(t *testing.T) {
	page, err := os.ReadFile("coming-from-pytorch.md")
	if err != nil {
		t.Fatal(err)
	}
	code := regexp.MustCompile("`([^`]+)`")
	var body strings.Builder
	rows := 0
	for _, line := range strings.Split(string(page), "\n") {
		cells := strings.Split(line, " | ")
		if !strings.HasPrefix(line, "| `") && !strings.HasPrefix(line, "| default") || len(cells) != 2 {
			continue
		}
		rows++
		for _, m := range code.FindAllStringSubmatch(cells[1], -1) {
			fmt.Fprintf(&body, "\t%s\n", m[1])
		}
	}
	if rows < 50 {
		t.Fatalf("%d rows of the tables were found: the test shows nothing", rows)
	}
	goBuild(t, `package main

import (
	"context"
	"image"
	"io"

	"github.com/hone-ml/hone/data"
	"github.com/hone-ml/hone/models"
	"github.com/hone-ml/hone/nn"
	"github.com/hone-ml/hone/nn/lora"
	"github.com/hone-ml/hone/optim"
	"github.com/hone-ml/hone/tensor"
	"github.com/hone-ml/hone/tensor/gradcheck"
	"github.com/hone-ml/hone/tensor/npy"
	"github.com/hone-ml/hone/tensor/tensorimage"
	"github.com/hone-ml/hone/tensor/tensormat"
	"github.com/hone-ml/hone/tokenizer"
	"gonum.org/v1/gonum/mat"
)

func column(ctx context.Context, dev *tensor.Device, s, tape *tensor.Scope, x, y, w, bias, mask, index, targets, loss *tensor.Tensor,
	r *tensor.Rand, model any, grads *tensor.Grads, opt *optim.AdamW, step int, out io.Writer, lm models.CausalLM, tok *tokenizer.Tokenizer,
	adapter *lora.Adapter, logits func(s *tensor.Scope) *tensor.Tensor) {
`+body.String()+`}

func main() {}
`)
}
