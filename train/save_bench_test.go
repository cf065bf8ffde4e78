package train

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/hone-ml/hone/models/qwen"
	"github.com/hone-ml/hone/optim"
	"github.com/hone-ml/hone/tensor"
)

// BenchmarkCheckpoint is a checkpoint of a BF16 model with AdamW, 12 bytes a parameter, and how long training
// pauses for it. "of-disk" is its bandwidth in parts of what the same disk takes of plain writes of 1 MiB and
// an fsync, measured right before; a value above 1 is a disk whose speed varies. TMPDIR says which disk.
func BenchmarkCheckpoint(b *testing.B) {
	smol := qwen.Config{VocabSize: 49152, HiddenSize: 576, IntermediateSize: 1536, NumHiddenLayers: 30, NumAttentionHeads: 9, NumKeyValueHeads: 3,
		HeadDim: 64, MaxPositionEmbeddings: 8192, RMSNormEps: 1e-5, RopeTheta: 1e5, TieWordEmbeddings: true, DType: "bfloat16"}
	for _, size := range []struct {
		name   string
		config qwen.Config
	}{{"135M", smol}, {"0.6B", qwen.Sizes["qwen3-0.6b"]}} {
		b.Run(size.name, func(b *testing.B) {
			m, err := qwen.New(size.config, tensor.CPU())
			if err != nil {
				b.Fatal(err)
			}
			opt := optim.NewAdamW(optim.Split(m.Parameters(), 1e-5, 0.01), optim.AdamWConfig{})
			bytes := 0
			for _, p := range m.Parameters() {
				bytes += p.Len() * 2
				p.Fill(0.01) // touches the memory, as training has
			}
			for _, s := range opt.State() {
				bytes += s.Len() * s.DType().Size()
				s.Fill(0)
			}
			dir := b.TempDir()
			k := checkpoints{dir: filepath.Join(dir, "checkpoints"), model: m, optimizer: opt}
			disk := writeBandwidth(b, dir, min(bytes, 2<<30))
			var pause time.Duration
			b.ResetTimer()
			for i := range b.N {
				began := time.Now()
				if err := k.save(&state{Version: stateVersion, Step: i + 1}); err != nil {
					b.Fatal(err)
				}
				pause += time.Since(began)
				b.StopTimer()
				if err := os.RemoveAll(k.path(i + 1)); err != nil {
					b.Fatal(err)
				}
				b.StartTimer()
			}
			seconds := pause.Seconds() / float64(b.N)
			speed := float64(bytes) / seconds
			b.ReportMetric(seconds, "s/save")
			b.ReportMetric(speed/1e6, "MB/s")
			b.ReportMetric(disk/1e6, "disk-MB/s")
			b.ReportMetric(speed/disk, "of-disk")
		})
	}
}

// writeBandwidth is what the disk of dir takes, in bytes a second.
func writeBandwidth(b *testing.B, dir string, bytes int) float64 {
	b.Helper()
	block := make([]byte, 1<<20)
	for i := range block {
		block[i] = byte(i * i)
	}
	path := filepath.Join(dir, "bandwidth")
	began := time.Now()
	f, err := os.Create(path)
	if err != nil {
		b.Fatal(err)
	}
	for n := 0; n < bytes; n += len(block) {
		if _, err := f.Write(block); err != nil {
			b.Fatal(err)
		}
	}
	if err := f.Sync(); err != nil {
		b.Fatal(err)
	}
	seconds := time.Since(began).Seconds()
	if err := f.Close(); err != nil {
		b.Fatal(err)
	}
	if err := os.Remove(path); err != nil {
		b.Fatal(err)
	}
	return float64(bytes) / seconds
}
