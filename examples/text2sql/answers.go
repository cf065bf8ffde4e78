package main

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/hone-ml/hone/nn/lora"
)

// An answerLine is a line of a file of answers: a prediction, and of what it was the answer.
type answerLine struct {
	ID  string `json:"id"`
	SQL string `json:"sql"`
	Of  string `json:"of"` // digest of who was asked, and what
}

// An answerFile keeps answers as they come. It is a file of predictions, as score takes it.
type answerFile struct {
	*journal
	path  string
	known map[string]answerLine
}

// openAnswers opens a file of answers, or makes it. Its ids must be unique.
func openAnswers(path string) (*answerFile, error) {
	a := &answerFile{path: path, known: map[string]answerLine{}}
	var err error
	a.journal, err = openJournal(path, func(line []byte) error {
		var l answerLine
		if err := json.Unmarshal(line, &l); err != nil {
			return fmt.Errorf("not an answer: %w", err)
		}
		if l.ID == "" || l.Of == "" {
			return errors.New(`not an answer of this program: "id" or "of" is missing; choose another file`)
		}
		if _, doubled := a.known[l.ID]; doubled {
			return fmt.Errorf("there are two answers for the id %q", l.ID)
		}
		a.known[l.ID] = l
		return nil
	})
	return a, err
}

// answer returns the answer that was kept for an id. One of another model, or to another prompt, is an error.
func (a *answerFile) answer(id, of string) (sql string, known bool, err error) {
	l, known := a.known[id]
	if known && l.Of != of {
		return "", false, fmt.Errorf("%s holds an answer for the id %q that another model gave, or to another prompt: remove the file, or name another", a.path, id)
	}
	return l.SQL, known, nil
}

// digest is a short name for what some texts say.
func digest(parts ...[]byte) string {
	h := sha256.New()
	for _, p := range parts {
		h.Write(binary.LittleEndian.AppendUint64(nil, uint64(len(p))))
		h.Write(p)
	}
	return hex.EncodeToString(h.Sum(nil)[:12])
}

// digest tells the models of two sources apart.
func (s source) digest() (string, error) {
	base, err := modelDigest(s.path)
	if err != nil || s.adapter == "" {
		return base, err
	}
	config, err := os.ReadFile(filepath.Join(s.adapter, lora.ConfigFile))
	if err != nil {
		return "", err
	}
	weights, err := sampleFile(filepath.Join(s.adapter, lora.WeightsFile))
	return digest([]byte(base), config, weights), err
}

// modelDigest tells models apart: by the config, and by samples of the weights, which are read in no time.
func modelDigest(dir string) (string, error) {
	if info, err := os.Stat(dir); err == nil && !info.IsDir() { // a .gguf file
		sample, err := sampleFile(dir)
		return digest(sample), err
	}
	config, err := os.ReadFile(filepath.Join(dir, "config.json"))
	if err != nil {
		return "", err
	}
	parts := [][]byte{config}
	files, err := filepath.Glob(filepath.Join(dir, "*.safetensors"))
	if err != nil {
		return "", err
	}
	for _, path := range files {
		sample, err := sampleFile(path)
		if err != nil {
			return "", err
		}
		parts = append(parts, sample)
	}
	return digest(parts...), nil
}

// sampleFile reads 64 pieces of a file, and its size.
func sampleFile(path string) ([]byte, error) {
	const pieces, piece = 64, 16 << 10
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	sample := binary.LittleEndian.AppendUint64(nil, uint64(info.Size()))
	buf := make([]byte, piece)
	for i := range int64(pieces) {
		n, err := f.ReadAt(buf, info.Size()/pieces*i)
		if err != nil && !errors.Is(err, io.EOF) {
			return nil, err
		}
		sample = append(sample, buf[:n]...)
	}
	return sample, nil
}
