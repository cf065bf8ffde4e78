package atomicfile

import (
	"bytes"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
)

const previousContent = "the previous content"

// content returns a writer of text, as WriteFile takes it.
func content(text string) func(io.Writer) error {
	return func(w io.Writer) error {
		_, err := io.WriteString(w, text)
		return err
	}
}

// previousFile makes a file with previousContent in a directory of its own.
func previousFile(t *testing.T) (path string) {
	t.Helper()
	path = filepath.Join(t.TempDir(), "checkpoint.json")
	if err := os.WriteFile(path, []byte(previousContent), 0o644); err != nil {
		t.Fatal(err)
	}
	return path
}

// needLocks skips a test where lock does nothing.
func needLocks(t *testing.T) {
	t.Helper()
	if !openFilesMove && runtime.GOOS != "windows" {
		t.Skip("needs file locks")
	}
}

// wantContent fails unless path holds want and nothing lies beside it.
func wantContent(t *testing.T, path, want string) {
	t.Helper()
	got, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if string(got) != want {
		t.Errorf("%s holds %.40q, want %.40q", path, got, want)
	}
	entries, err := os.ReadDir(filepath.Dir(path))
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		if e.Name() != filepath.Base(path) {
			t.Errorf("%s is left behind", e.Name())
		}
	}
}

func TestWriteFileCreatesANewFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "new")
	if err := WriteFile(path, content("hello")); err != nil {
		t.Fatal(err)
	}
	wantContent(t, path, "hello")
}

func TestWriteFileReplacesAndKeepsPermissions(t *testing.T) {
	path := previousFile(t)
	if err := os.Chmod(path, 0o640); err != nil {
		t.Fatal(err)
	}
	before, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := WriteFile(path, content("new")); err != nil {
		t.Fatal(err)
	}
	wantContent(t, path, "new")
	after, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	if after.Mode() != before.Mode() {
		t.Errorf("mode %v, want %v", after.Mode(), before.Mode())
	}
}

func TestWriteFileWritesMoreThanItsBuffer(t *testing.T) {
	path := filepath.Join(t.TempDir(), "large")
	want := bytes.Repeat([]byte("0123456789abcdef"), 3*bufferSize/16+1)
	err := WriteFile(path, func(w io.Writer) error {
		for chunk := range bytes.SplitSeq(want, []byte("f")) { // many small writes
			if _, err := w.Write(chunk); err != nil {
				return err
			}
		}
		_, err := w.Write(want) // and a large one
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	wantContent(t, path, strings.ReplaceAll(string(want), "f", "")+string(want))
}

// faultyFile is a temporary file of which the marked operations fail. It embeds
// nothing, lest bufio find the file's WriteString and ReadFrom.
type faultyFile struct {
	real                  file
	sink                  io.Writer // takes the writes, if not nil
	chmodErr, syncErr     error
	writeErr, closeErr    error
	bytesUntilWriteFailed int
}

func (f *faultyFile) Write(p []byte) (int, error) {
	if f.sink != nil {
		return f.sink.Write(p)
	}
	if f.writeErr == nil {
		return f.real.Write(p)
	}
	n := min(len(p), f.bytesUntilWriteFailed)
	f.bytesUntilWriteFailed -= n
	if n, err := f.real.Write(p[:n]); err != nil {
		return n, err
	}
	return n, f.writeErr
}

func (f *faultyFile) Chmod(mode fs.FileMode) error {
	return errors.Join(f.chmodErr, f.real.Chmod(mode))
}
func (f *faultyFile) Sync() error  { return errors.Join(f.syncErr, f.real.Sync()) }
func (f *faultyFile) Close() error { return errors.Join(f.real.Close(), f.closeErr) }

// faulty returns steps whose temporary file has the given faults.
func faulty(faults faultyFile) steps {
	s := system
	s.create = func(path string) (file, error) {
		f, err := createTemp(path)
		if err != nil {
			return nil, err
		}
		faults.real = f
		return &faults, nil
	}
	return s
}

func TestEveryFailureLeavesThePreviousFileWhole(t *testing.T) {
	cause := errors.New("injected fault")
	large := strings.Repeat("x", 4*bufferSize)

	noRename := system
	noRename.rename = func(string, string) error { return cause }
	noCreate := system
	noCreate.create = func(string) (file, error) { return nil, cause }

	for _, test := range []struct {
		name  string
		steps steps
		write func(io.Writer) error
	}{
		{"the callback fails at once", system, func(io.Writer) error { return cause }},
		{"the callback fails midway", system, func(w io.Writer) error {
			return errors.Join(content(large)(w), cause)
		}},
		{"the callback hides a failed write", faulty(faultyFile{writeErr: cause, bytesUntilWriteFailed: bufferSize}), func(w io.Writer) error {
			_ = content(large)(w)
			return nil
		}},
		{"a large write fails midway", faulty(faultyFile{writeErr: cause, bytesUntilWriteFailed: bufferSize + 7}), content(large)},
		{"the last flush fails", faulty(faultyFile{writeErr: cause}), content("small")},
		{"the temporary cannot be created", noCreate, content("new")},
		{"its permissions cannot be set", faulty(faultyFile{chmodErr: cause}), content("new")},
		{"it cannot be synced", faulty(faultyFile{syncErr: cause}), content("new")},
		{"it cannot be renamed", noRename, content("new")},
	} {
		t.Run(test.name, func(t *testing.T) {
			path := previousFile(t)
			err := test.steps.replace(path, test.write)
			if !errors.Is(err, cause) {
				t.Fatalf("error %v does not wrap its cause", err)
			}
			if !strings.Contains(err.Error(), path) {
				t.Errorf("error %q does not name %s", err, path)
			}
			wantContent(t, path, previousContent)
		})
	}
}

func TestFailuresAfterTheRenameAreReported(t *testing.T) {
	cause := errors.New("injected fault")
	noDirSync := system
	noDirSync.syncDir = func(string) error { return cause }
	path := previousFile(t)
	if err := noDirSync.replace(path, content("new")); !errors.Is(err, cause) {
		t.Errorf("error %v does not wrap its cause", err)
	}
	wantContent(t, path, "new")
	if err := faulty(faultyFile{closeErr: cause}).replace(path, content("newer")); !errors.Is(err, cause) {
		t.Errorf("error %v does not wrap its cause", err)
	}
	entries, err := os.ReadDir(filepath.Dir(path))
	if err != nil || len(entries) != 1 {
		t.Errorf("%d files, want 1 (%v)", len(entries), err)
	}
}

func TestFailedCleanupIsReportedBesideTheCause(t *testing.T) {
	cause, cleanup := errors.New("injected fault"), errors.New("cannot remove")
	s := system
	s.remove = func(path string) error { return errors.Join(os.Remove(path), cleanup) }
	err := s.replace(previousFile(t), func(io.Writer) error { return cause })
	if !errors.Is(err, cause) || !errors.Is(err, cleanup) {
		t.Errorf("error %v does not wrap both causes", err)
	}
}

func TestAFullDiskLeavesThePreviousFileWhole(t *testing.T) {
	full, err := os.OpenFile("/dev/full", os.O_WRONLY, 0)
	if err != nil {
		t.Skip("needs /dev/full: ", err)
	}
	defer full.Close()
	for _, size := range []int{1, bufferSize, 3 * bufferSize} {
		path := previousFile(t)
		err := faulty(faultyFile{sink: full}).replace(path, content(strings.Repeat("x", size)))
		if !errors.Is(err, syscall.ENOSPC) || !strings.Contains(err.Error(), path) {
			t.Errorf("%d bytes: error %v, want one that names %s and no space left on device", size, err, path)
		}
		wantContent(t, path, previousContent)
	}
}

func TestAPanickingCallbackLeavesThePreviousFileWhole(t *testing.T) {
	path := previousFile(t)
	func() {
		defer func() {
			if recover() == nil {
				t.Error("the panic was swallowed")
			}
		}()
		_ = WriteFile(path, func(w io.Writer) error {
			_ = content(strings.Repeat("x", 2*bufferSize))(w)
			panic("callback")
		})
	}()
	wantContent(t, path, previousContent)
	if err := WriteFile(path, content("after")); err != nil {
		t.Fatal(err)
	}
	wantContent(t, path, "after")
}

func TestReadOnlyDirectoryIsAnErrorThatNamesThePath(t *testing.T) {
	if runtime.GOOS == "windows" || os.Getuid() == 0 {
		t.Skip("needs a user whom directory permissions bind")
	}
	path := previousFile(t)
	dir := filepath.Dir(path)
	if err := os.Chmod(dir, 0o555); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.Chmod(dir, 0o755) })
	err := WriteFile(path, content("new"))
	if !errors.Is(err, fs.ErrPermission) || !strings.Contains(err.Error(), path) {
		t.Errorf("error %v, want permission denied naming %s", err, path)
	}
	wantContent(t, path, previousContent)
}

func TestImpossiblePathsAreErrors(t *testing.T) {
	dir := t.TempDir()
	for name, path := range map[string]string{
		"the directory is missing":   filepath.Join(dir, "missing", "file"),
		"the path is a directory":    dir,
		"its parent is not a folder": filepath.Join(previousFile(t), "file"),
	} {
		err := WriteFile(path, func(io.Writer) error {
			t.Errorf("%s: the callback ran", name)
			return nil
		})
		if err == nil || !strings.Contains(err.Error(), path) {
			t.Errorf("%s: error %v, want one that names %s", name, err, path)
		}
	}
}

func TestADeviceIsNotReplaced(t *testing.T) {
	const device = "/dev/full"
	if _, err := os.Lstat(device); err != nil {
		t.Skip("needs ", device)
	}
	refuse := system
	refuse.create = func(string) (file, error) {
		t.Error("a temporary file was opened")
		return nil, errors.New("stop")
	}
	if err := refuse.replace(device, content("x")); err == nil || !strings.Contains(err.Error(), "regular file") {
		t.Errorf("error %v", err)
	}
}

func TestTemporaryOfAKilledProcessIsTakenOver(t *testing.T) {
	path := previousFile(t)
	if err := os.WriteFile(path+".tmp", []byte(strings.Repeat("stale", 100)), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := WriteFile(path, content("new")); err != nil {
		t.Fatal(err)
	}
	wantContent(t, path, "new")
}

func TestSymbolicLinkIsReplacedAndItsTargetLeftAlone(t *testing.T) {
	dir := t.TempDir()
	target, link := filepath.Join(dir, "blob"), filepath.Join(dir, "link")
	if err := os.WriteFile(target, []byte(previousContent), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(target, link); err != nil {
		t.Skip("needs symbolic links: ", err)
	}
	if err := WriteFile(link, content("new")); err != nil {
		t.Fatal(err)
	}
	got, err := os.ReadFile(target)
	if err != nil || string(got) != previousContent {
		t.Errorf("the target holds %q (%v)", got, err)
	}
	info, err := os.Lstat(link)
	if err != nil || !info.Mode().IsRegular() {
		t.Errorf("the link is not a file of its own: %v, %v", info, err)
	}
}

func TestSymbolicLinkAtTheTemporaryIsNotWrittenThrough(t *testing.T) {
	path := previousFile(t)
	victim := filepath.Join(t.TempDir(), "victim")
	if err := os.WriteFile(victim, []byte(previousContent), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(victim, path+".tmp"); err != nil {
		t.Skip("needs symbolic links: ", err)
	}
	if err := WriteFile(path, content("new")); err == nil || !strings.Contains(err.Error(), "remove it") {
		t.Errorf("error %v, want one that says what to do", err)
	}
	wantContent(t, victim, previousContent)
}

func TestTemporaryThatWasMovedIntoPlaceMeanwhileIsNotEmptied(t *testing.T) {
	if !openFilesMove {
		t.Skip("needs to move an open file")
	}
	path := previousFile(t)
	temp := path + ".tmp"
	if err := os.WriteFile(temp, []byte("another writer's"), 0o644); err != nil {
		t.Fatal(err)
	}
	f, err := openTemp(temp)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if err := os.Rename(temp, path); err != nil {
		t.Fatal(err)
	}
	if ours, err := claim(f, temp); ours || err != nil {
		t.Errorf("claimed %t, error %v", ours, err)
	}
	wantContent(t, path, "another writer's")
}

// A second writer must neither truncate the first one's bytes, nor move them
// into place half written, nor take the file that was just put into place for
// the temporary that it was a moment before.
func TestConcurrentWritersNeverMix(t *testing.T) {
	needLocks(t)
	path := previousFile(t)
	text := func(writer int) string { return strings.Repeat(string(rune('a'+writer)), 1<<writer) }
	const goroutines, rounds = 8, 200
	var writers sync.WaitGroup
	var wrote, refused atomic.Int64
	for i := range goroutines {
		writers.Go(func() {
			for range rounds {
				switch err := WriteFile(path, content(text(i))); {
				case err == nil:
					wrote.Add(1)
				case runtime.GOOS == "windows" || errors.Is(err, errBusy):
					refused.Add(1)
				default:
					t.Errorf("error %v, want %v", err, errBusy)
				}
				got, err := os.ReadFile(path)
				if err != nil {
					if runtime.GOOS != "windows" {
						t.Error(err)
					}
				} else if len(got) == 0 || string(got) != previousContent && string(got) != text(int(got[0]-'a')) {
					t.Errorf("the file of %d bytes is none of the written ones", len(got))
				}
			}
		})
	}
	writers.Wait()
	if wrote.Load() == 0 {
		t.Error("no writer succeeded")
	}
	t.Logf("%d written, %d refused", wrote.Load(), refused.Load())
}

func TestSecondWriterIsRefusedWhileTheFirstWrites(t *testing.T) {
	needLocks(t)
	path := previousFile(t)
	err := WriteFile(path, func(w io.Writer) error {
		if err := WriteFile(path, content("intruder")); !errors.Is(err, errBusy) {
			t.Errorf("error %v, want %v", err, errBusy)
		}
		return content("first")(w)
	})
	if err != nil {
		t.Fatal(err)
	}
	wantContent(t, path, "first")
}
