// Text2sql fine-tunes a Qwen3 model to turn questions into SQL, and asks, evaluates and scores such
// models. Without arguments it shows the whole way in under three minutes: it makes data, trains a small
// model from scratch and reports how the accuracy on questions that it has never seen rises.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"slices"
	"strings"
	"syscall"
)

// A command is one of the program's verbs.
type command struct {
	name    string
	args    string // what stands behind the name in the usage line
	summary string
	help    string // more than the summary, for -h
	run     func(ctx context.Context, p *program, args []string) error
}

// commands are all verbs in the order of the help.
func commands() []command {
	return []command{demoCommand, trainCommand, evalCommand, scoreCommand, compareCommand, baselineCommand, askCommand, dataCheckCommand, dataSplitCommand, dataLoadCommand, initCommand, downloadCommand, exportCommand, infoCommand}
}

// program is what commands write to.
type program struct {
	stdout, stderr io.Writer
	command        command // the one that runs
	observing      *observing
}

// usageError is an error of the command line: exit code 2.
type usageError struct{ error }

func usagef(format string, args ...any) error { return usageError{fmt.Errorf(format, args...)} }

// errHelp says that help was asked for and shown.
var errHelp = errors.New("help")

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	go func() { // a second Ctrl-C ends the program at once
		<-ctx.Done()
		stop()
	}()
	p := &program{stdout: os.Stdout, stderr: os.Stderr}
	os.Exit(p.main(ctx, os.Args[1:]))
}

// main runs the command that args name and returns the exit code: 0 done, 1 failed, 2 wrong usage.
func (p *program) main(ctx context.Context, args []string) (code int) {
	defer func() {
		if r := recover(); r != nil {
			fmt.Fprintf(p.stderr, "text2sql: internal error: %v\nThis is a bug of text2sql; set GOTRACEBACK=all and TEXT2SQL_PANIC=1 to see where.\n", r)
			if os.Getenv("TEXT2SQL_PANIC") != "" {
				panic(r)
			}
			code = 1
		}
	}()
	err := p.dispatch(ctx, args)
	var usage usageError
	switch {
	case err == nil, errors.Is(err, errHelp):
		return 0
	case errors.As(err, &usage):
		fmt.Fprintf(p.stderr, "text2sql: %s\n", oneLine(err))
		return 2
	case ctx.Err() != nil && errors.Is(err, ctx.Err()):
		fmt.Fprintln(p.stderr, "text2sql: interrupted")
		return 1
	default:
		fmt.Fprintf(p.stderr, "text2sql: %s\n", oneLine(err))
		return 1
	}
}

// oneLine is the text of err without line ends, which other packages' errors may have.
func oneLine(err error) string {
	var b strings.Builder
	for part := range strings.FieldsFuncSeq(err.Error(), func(r rune) bool { return r == '\n' || r == '\r' }) {
		switch {
		case strings.HasSuffix(b.String(), ":"):
			b.WriteString(" ")
		case b.Len() > 0:
			b.WriteString("; ")
		}
		b.WriteString(strings.TrimSpace(part))
	}
	return b.String()
}

func (p *program) dispatch(ctx context.Context, args []string) error {
	run := func(c command, args []string) (err error) {
		p.command = c
		defer func() {
			if e := p.stopObserving(); e != nil {
				err = errors.Join(err, e)
			}
		}()
		return c.run(ctx, p, args)
	}
	if len(args) == 0 {
		return run(demoCommand, nil)
	}
	name, rest := args[0], args[1:]
	switch name {
	case "-h", "-help", "--help", "help":
		if len(rest) == 0 {
			p.help()
			return nil
		}
		name, rest = rest[0], append(rest[1:], "-h")
	}
	for _, c := range commands() {
		first, second, two := strings.Cut(c.name, " ")
		switch {
		case !two && c.name == name:
			return run(c, rest)
		case two && (first+" "+second == name || first == name && len(rest) > 0 && rest[0] == second):
			if first == name {
				rest = rest[1:]
			}
			return run(c, rest)
		}
	}
	if strings.HasPrefix(name, "-") {
		return run(demoCommand, args)
	}
	return p.unknown(name, rest)
}

// unknown answers to the first word of verbs of two, and to what is no verb.
func (p *program) unknown(name string, args []string) error {
	help := slices.ContainsFunc(args, func(a string) bool { return a == "-h" || a == "-help" || a == "--help" })
	var seconds []string
	for _, c := range commands() {
		if second, ok := strings.CutPrefix(c.name, name+" "); ok {
			seconds = append(seconds, second)
			if help {
				fmt.Fprintf(p.stdout, "Usage: text2sql %s %s\n\n%s.\n\n", c.name, c.args, c.summary)
			}
		}
	}
	switch {
	case len(seconds) == 0:
		return usagef("%q is no command; text2sql -h lists them", name)
	case help:
		return nil
	case len(args) == 0:
		return usagef("%s: %s is missing", name, strings.Join(seconds, " or "))
	}
	return usagef("%s: %q is neither %s", name, args[0], strings.Join(seconds, " nor "))
}

func (p *program) help() {
	fmt.Fprint(p.stdout, "Text2sql fine-tunes a Qwen3 model to turn questions into SQL.\n\nUsage:\n\n")
	for _, c := range commands() {
		fmt.Fprintf(p.stdout, "  text2sql %-10s %s\n", c.name, c.summary)
	}
	fmt.Fprint(p.stdout, "\nWithout arguments it runs the demo. \"text2sql COMMAND -h\" tells more about one.\n"+
		"Exit codes: 0 done, 1 failed, 2 wrong usage.\n")
}

// parse reads the flags of the command from args into fs; flags and other arguments may be mixed. It returns the
// arguments that are no flags.
func (p *program) parse(fs *flag.FlagSet, args []string) ([]string, error) {
	fs.SetOutput(io.Discard)
	fs.Usage = func() {}
	var rest []string
	for {
		if err := fs.Parse(args); err != nil {
			if errors.Is(err, flag.ErrHelp) {
				p.commandHelp(fs)
				return nil, errHelp
			}
			if name, unknown := strings.CutPrefix(err.Error(), "flag provided but not defined: -"); unknown {
				err = fmt.Errorf("there is no flag -%s, the nearest is -%s", name, nearestFlag(fs, name))
			}
			return nil, usagef("%s: %v; text2sql %s -h lists its flags", fs.Name(), err, fs.Name())
		}
		args = fs.Args()
		if len(args) == 0 {
			return rest, nil
		}
		rest = append(rest, args[0])
		args = args[1:]
	}
}

func (p *program) commandHelp(fs *flag.FlagSet) {
	c := p.command
	fmt.Fprintf(p.stdout, "Usage: text2sql %s %s\n\n%s.\n", c.name, c.args, c.summary)
	if c.help != "" {
		fmt.Fprintf(p.stdout, "%s\n", c.help)
	}
	fmt.Fprint(p.stdout, "\nFlags:\n")
	fs.SetOutput(p.stdout)
	fs.PrintDefaults()
}

// oneOf checks a flag that names one of several things.
func oneOf(flagName, value string, names ...string) error {
	if !slices.Contains(names, value) {
		return usagef("-%s is %q, want %s", flagName, value, strings.Join(names, ", "))
	}
	return nil
}
