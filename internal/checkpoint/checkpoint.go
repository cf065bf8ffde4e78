// Package checkpoint is what those have in common that bring tensors to safetensors files and back: package
// safetensors knows no tensors, and package tensor no files.
package checkpoint

import (
	"io"

	"github.com/hone-ml/hone/tensor"
	"github.com/hone-ml/hone/tensor/safetensors"
)

var formats = map[tensor.DType]safetensors.DType{
	tensor.F32: safetensors.F32, tensor.F64: safetensors.F64, tensor.BF16: safetensors.BF16, tensor.F16: safetensors.F16,
	tensor.I32: safetensors.I32, tensor.I64: safetensors.I64, tensor.U8: safetensors.U8, tensor.Bool: safetensors.Bool,
}

var dtypes = func() map[safetensors.DType]tensor.DType {
	m := map[safetensors.DType]tensor.DType{}
	for dt, format := range formats {
		m[format] = dt
	}
	return m
}()

// DType is the dtype of tensors that a file's elements have; ok is false if tensors have none.
func DType(format safetensors.DType) (dt tensor.DType, ok bool) {
	dt, ok = dtypes[format]
	return dt, ok
}

// Entry is a tensor as a file has it, streamed when it is written; ok is false if the format does not know its
// dtype, which is a quantised one.
func Entry(name string, t *tensor.Tensor) (e safetensors.Tensor, ok bool) {
	format, ok := formats[t.DType()]
	return safetensors.Tensor{Name: name, DType: format, Shape: t.Shape(), Stream: func(w io.Writer) error {
		_, err := t.WriteTo(w)
		return err
	}}, ok
}
