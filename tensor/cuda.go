package tensor

import (
	"fmt"
	"strconv"
	"strings"
	"sync"

	"github.com/hone-ml/hone/internal/cuda"
)

// gpus are the NVIDIA GPUs that were opened, so that each is one device.
var gpus struct {
	sync.Mutex
	open map[int]*Device
}

// CUDA is the i-th NVIDIA GPU. Its budget is 95 % of the card's memory that was free at the first call; see
// SetMemoryLimit. It needs NVIDIA's driver and nothing else; the error says in one line what is missing.
func CUDA(i int) (*Device, error) {
	gpus.Lock()
	defer gpus.Unlock()
	if d := gpus.open[i]; d != nil {
		return d, nil
	}
	b, err := cuda.Open(i)
	if err != nil {
		return nil, fmt.Errorf("tensor: cuda:%d: %w", i, err)
	}
	free, err := b.FreeMemory()
	if err != nil {
		return nil, fmt.Errorf("tensor: cuda:%d: %w", i, err)
	}
	d := newDevice(b)
	d.budget, d.release = int(float64(free)*0.95), b.Close
	if gpus.open == nil {
		gpus.open = map[int]*Device{}
	}
	gpus.open[i] = d
	return d, nil
}

// CUDASim is a simulated GPU, "cuda-sim", that runs the very kernels of CUDA and checks each of their steps. It is for
// tests, and some ten thousand times slower than a GPU. Each call makes a new one; see Close.
func CUDASim() (*Device, error) {
	b, err := cuda.OpenSim()
	if err != nil {
		return nil, fmt.Errorf("tensor: cuda-sim: %w", err)
	}
	d := newDevice(b)
	d.budget, d.release = int(b.Info().Memory), b.Close
	return d, nil
}

// OpenDevice is the device of a name: "cpu", "cuda" or "cuda:0" for the first NVIDIA GPU and so on, "cuda-sim".
func OpenDevice(name string) (*Device, error) {
	switch name {
	case "cpu":
		return CPU(), nil
	case "cuda":
		return CUDA(0)
	case "cuda-sim":
		return CUDASim()
	}
	if number, ok := strings.CutPrefix(name, "cuda:"); ok {
		if i, err := strconv.ParseUint(number, 10, 16); err == nil {
			return CUDA(int(i))
		}
	}
	return nil, fmt.Errorf("tensor: there is no device %q; names are cpu, cuda, cuda:0, cuda:1 and so on, cuda-sim", name)
}

// Devices lists the devices of this machine, the CPU first, then the GPUs that CUDA can open.
func Devices() []*Device {
	all := []*Device{CPU()}
	cards, err := cuda.Cards()
	if err != nil {
		return all // CUDA(0) says why
	}
	for i := range cards {
		if d, err := CUDA(i); err == nil {
			all = append(all, d)
		}
	}
	return all
}

// Close waits for the device and gives its memory back to the system, caches of closed scopes included. The device and
// what lives on it must not be used any more. Of the CPU, and of Dry devices, only the caches go.
func (d *Device) Close() error {
	err := d.Sync()
	d.mu.Lock()
	defer d.mu.Unlock()
	d.bury()
	d.trim()
	if d.release == nil {
		return err
	}
	gpus.Lock()
	defer gpus.Unlock()
	for i, open := range gpus.open {
		if open == d {
			delete(gpus.open, i)
		}
	}
	if closed := d.release(); err == nil {
		err = closed
	}
	return err
}
