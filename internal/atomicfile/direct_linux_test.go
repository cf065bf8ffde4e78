package atomicfile

import (
	"bytes"
	"errors"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"
)

func TestFilesOfAnyLengthHoldWhatWasWritten(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 1))
	content := make([]byte, 3*blockSize+12345)
	for i := range content {
		content[i] = byte(rng.Uint32())
	}
	path := filepath.Join(t.TempDir(), "x")
	for _, size := range []int{0, 1, bufferSize, bufferSize + 1, blockSize - 1, blockSize, blockSize + 1, 2 * blockSize, len(content)} {
		err := WriteFile(path, func(w io.Writer) error {
			for rest := content[:size]; len(rest) > 0; {
				n := min(len(rest), 1+rng.IntN(1<<rng.IntN(24))) // of a few bytes and of several blocks
				if _, err := w.Write(rest[:n]); err != nil {
					return err
				}
				rest = rest[n:]
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		got, err := os.ReadFile(path)
		if err != nil || !bytes.Equal(got, content[:size]) {
			t.Errorf("%d bytes came back as %d others (%v)", size, len(got), err)
		}
	}
}

func TestAnErrorOfTheDiskIsToldWhileBlocksAreWritten(t *testing.T) {
	for _, blocks := range []int{1, 2, 9} {
		f, err := os.OpenFile("/dev/full", os.O_WRONLY, 0)
		if err != nil {
			t.Skip("needs /dev/full: ", err)
		}
		d := newWriter(f).(*direct)
		_, err = d.Write(make([]byte, blocks*blockSize+1))
		err = errors.Join(err, d.Flush(), d.stop())
		if !errors.Is(err, unix.ENOSPC) {
			t.Errorf("%d blocks on a full disk: %v", blocks, err)
		}
		f.Close()
	}
}

func TestAWriteThatFailsAfterManyBlocksLeavesThePreviousFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "x")
	if err := os.WriteFile(path, []byte("before"), 0o666); err != nil {
		t.Fatal(err)
	}
	cause := errors.New("cause")
	err := WriteFile(path, func(w io.Writer) error {
		if _, err := w.Write(make([]byte, 3*blockSize)); err != nil {
			return err
		}
		return cause
	})
	if !errors.Is(err, cause) {
		t.Error(err)
	}
	if got, err := os.ReadFile(path); err != nil || string(got) != "before" {
		t.Errorf("%q, %v", got, err)
	}
	if _, err := os.Stat(path + ".tmp"); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the temporary file: %v", err)
	}
}

func TestADiskThatIsFullAfterSomeBlocksKeepsThePreviousFile(t *testing.T) {
	dir := t.TempDir()
	if err := unix.Mount("tmpfs", dir, "tmpfs", 0, "size=10m"); err != nil {
		t.Skip("needs the right to mount a small disk: ", err)
	}
	defer func() {
		if err := unix.Unmount(dir, 0); err != nil {
			t.Error(err)
		}
	}()
	path := filepath.Join(dir, "x")
	if err := os.WriteFile(path, []byte("before"), 0o666); err != nil {
		t.Fatal(err)
	}
	err := WriteFile(path, func(w io.Writer) error {
		_, err := w.Write(make([]byte, 5*blockSize))
		return err
	})
	if !errors.Is(err, unix.ENOSPC) {
		t.Errorf("%v, want no space left", err)
	}
	if got, err := os.ReadFile(path); err != nil || string(got) != "before" {
		t.Errorf("%q, %v", got, err)
	}
	if entries, err := os.ReadDir(dir); err != nil || len(entries) != 1 {
		t.Errorf("%v, %v", entries, err)
	}
}
