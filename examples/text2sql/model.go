package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/hone-ml/hone/examples/text2sql/internal/progress"
	"github.com/hone-ml/hone/models/hub"
)

// modelHelp is what -model takes.
const modelHelp = "`MODEL` to use: a folder, such as a run of train, a .gguf file, or ORG/NAME[@REVISION] on the Hugging Face hub"

var downloadCommand = command{
	name: "download", args: "ORG/NAME[@REVISION]", summary: "fetches a model from the Hugging Face hub",
	help: "The model goes into the cache that all Hugging Face programs share; -model ORG/NAME finds it there. A file that is\n" +
		"there already is not fetched again, one that came in part is taken up where it broke off, and each is checked\n" +
		"against its hash. ORG/NAME/FILE.gguf fetches that file alone.\n\n" +
		"The environment: HF_TOKEN for models that are private or gated; HF_HOME or HF_HUB_CACHE for the cache\n" +
		"(~/.cache/huggingface/hub); HF_ENDPOINT for another hub; HF_HUB_OFFLINE=1 forbids requests.",
	run: runDownload,
}

func runDownload(ctx context.Context, p *program, args []string) error {
	var c common
	flags := flag.NewFlagSet("download", flag.ContinueOnError)
	c.register(flags)
	rest, err := p.parse(flags, args)
	if err != nil {
		return err
	}
	if err := c.check(); err != nil {
		return err
	}
	if len(rest) != 1 {
		return usagef("download: name one model, as in text2sql download Qwen/Qwen3-0.6B")
	}
	m, err := hub.ParseModel(rest[0])
	if err != nil {
		return usageError{err}
	}
	path, err := p.download(ctx, m)
	if err != nil {
		return err
	}
	if c.json {
		return p.printJSON(map[string]string{"model": m.String(), "path": path})
	}
	_, err = fmt.Fprintln(p.stdout, path)
	return err
}

// download fetches a model and shows how far it is.
func (p *program) download(ctx context.Context, m hub.Model) (string, error) {
	o, err := hub.FromEnvironment()
	if err != nil {
		return "", err
	}
	line := p.newLine()
	defer line.Done()
	start, before := time.Now(), int64(-1)
	o.Log = func(message string) { line.Log("%s", message) }
	o.Progress = func(at hub.Progress) {
		if before < 0 {
			before = at.Done
		}
		speed := float64(at.Done-before) / 1e6 / max(time.Since(start).Seconds(), 1e-3)
		line.Count(progress.Count{Label: "MB of " + m.Repo, Done: int((at.Done + 999_999) / 1e6), Total: int((at.Total + 999_999) / 1e6), Note: fmt.Sprintf("%.1f MB/s %s", speed, at.File)})
	}
	return hub.Download(ctx, m, o)
}

// findModel is the path of what -model names: of a folder or file, or of a model of the hub, which is fetched unless
// the cache has it.
func (p *program) findModel(ctx context.Context, name string) (string, error) {
	_, err := os.Stat(name)
	if err == nil || !errors.Is(err, fs.ErrNotExist) {
		return name, nil
	}
	m, notOne := hub.ParseModel(name)
	if notOne != nil {
		return "", fmt.Errorf("-model: there is no %s; give a folder, a .gguf file, or a model of the Hugging Face hub as ORG/NAME", name)
	}
	o, err := hub.FromEnvironment()
	if err != nil {
		return "", err
	}
	if path, ok := hub.Find(m, o); ok {
		return path, nil
	}
	path, err := p.download(ctx, m)
	if err != nil {
		return "", fmt.Errorf("-model: there is no folder %s, and from the Hugging Face hub it cannot be had: %w", name, err)
	}
	return path, nil
}

// checkModel says what is wrong with the folder of a model, as far as a look at it tells.
func checkModel(path string) error {
	info, err := os.Stat(path)
	switch {
	case err != nil:
		return fmt.Errorf("-model: %w", err)
	case info.IsDir():
	case strings.EqualFold(filepath.Ext(path), ".gguf"):
		return nil
	default:
		return fmt.Errorf("-model: %s is a file; give a .gguf file, or the folder that holds config.json, tokenizer.json and model.safetensors", path)
	}
	for _, name := range []string{"config.json", "tokenizer.json"} {
		if _, err := os.Stat(filepath.Join(path, name)); err != nil {
			return fmt.Errorf("-model: %s holds no %s", path, name)
		}
	}
	return nil
}
