package npy

import (
	"archive/zip"
	"bufio"
	"fmt"
	"io"
	"iter"
	"os"
	"strings"
	"time"

	"github.com/hone-ml/hone/internal/atomicfile"
	"github.com/hone-ml/hone/tensor"
)

// suffix is what the names of an archive's members end in.
const suffix = ".npy"

// LoadArchive reads the arrays of a .npz file, by name, into new tensors in p.
func LoadArchive(path string, p tensor.Place) (map[string]*tensor.Tensor, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	tensors, err := ReadArchive(f, info.Size(), p)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return tensors, nil
}

// ReadArchive reads the arrays of an archive of size bytes in the .npz format, compressed or not, by name. A member
// that is not an array, a name that is there twice and a checksum that is wrong give a *FormatError.
func ReadArchive(r io.ReaderAt, size int64, p tensor.Place) (map[string]*tensor.Tensor, error) {
	z, err := zip.NewReader(r, size)
	if err != nil {
		return nil, &FormatError{"not a .npz archive: " + err.Error()}
	}
	tensors := make(map[string]*tensor.Tensor)
	for _, member := range z.File {
		name, isArray := strings.CutSuffix(member.Name, suffix)
		if !isArray {
			return nil, &FormatError{fmt.Sprintf("member %q of the archive is not a .npy file", member.Name)}
		}
		if tensors[name] != nil {
			return nil, &FormatError{fmt.Sprintf("the archive has %q twice", name)}
		}
		if tensors[name], err = readMember(member, p); err != nil {
			return nil, fmt.Errorf("%s: %w", member.Name, err)
		}
	}
	return tensors, nil
}

func readMember(member *zip.File, p tensor.Place) (*tensor.Tensor, error) {
	r, err := member.Open()
	if err != nil {
		return nil, &FormatError{err.Error()}
	}
	defer r.Close()
	data := bufio.NewReader(memberReader{r})
	t, err := Read(data, p)
	if err != nil {
		return nil, err
	}
	switch _, err := data.ReadByte(); err { // the checksum is looked at where the member ends
	case io.EOF:
		return t, nil
	case nil:
		return nil, &FormatError{"more follows the array"}
	default:
		return nil, err
	}
}

// A memberReader makes what is wrong with a member's compression or checksum a FormatError.
type memberReader struct{ r io.Reader }

func (m memberReader) Read(b []byte) (int, error) {
	n, err := m.r.Read(b)
	if err != nil && err != io.EOF {
		err = &FormatError{err.Error()}
	}
	return n, err
}

// SaveArchive writes tensors as a .npz file, which is there whole or not at all.
func SaveArchive(path string, tensors iter.Seq2[string, *tensor.Tensor]) error {
	return atomicfile.WriteFile(path, func(w io.Writer) error { return WriteArchive(w, tensors) })
}

// WriteArchive writes tensors in the .npz format, uncompressed as numpy.savez does. Equal tensors make equal bytes.
func WriteArchive(w io.Writer, tensors iter.Seq2[string, *tensor.Tensor]) error {
	z := zip.NewWriter(w)
	seen := map[string]bool{}
	for name, t := range tensors {
		if seen[name] {
			return fmt.Errorf("npy: the name %q is there twice", name)
		}
		seen[name] = true
		member, err := z.CreateHeader(&zip.FileHeader{Name: name + suffix, Modified: epoch})
		if err != nil {
			return err
		}
		if err := Write(member, t); err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
	}
	return z.Close()
}

// epoch is the earliest time that an archive can hold.
var epoch = time.Date(1980, 1, 1, 0, 0, 0, 0, time.UTC)
