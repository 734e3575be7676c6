package main

import (
	"fmt"
	"strconv"
	"strings"
	"time"
)

// Behaviour is what the application does. The zero value serves health and is ready at once.
type Behaviour struct {
	Once       bool          // do not serve: print, sleep, exit, as a migration does
	OnceSleep  time.Duration // how long that takes
	OnceExit   int           // its exit code
	Exit       int           // the exit code of a crash
	Crash      bool
	CrashAfter time.Duration // after the start, with the exit code above
	Hang       bool          // never listen
	Unready    string        // refuse readiness with this body
	Unhealthy  string        // refuse liveness with this body
	SlowStart  time.Duration // listen only after this
	EatMemory  int64         // bytes to hold; below zero: all there is
	Hostile    bool          // log lines that try to do harm
	WaitTCP    string        // host:port that must accept before anything else
	WaitHTTP   string        // URL that must answer 200 before anything else
	NeedFile   string        // a file without which it ends at once, exit code 1
	NeedStarts int           // it ends at once, exit code 1, until it was started so often
	TermDelay  time.Duration // how long SIGTERM is ignored
	Print      []string      // lines to print at the start
}

// Parse reads settings, one to a line or parted by semicolons: a name, then a value where the
// setting has one. A later setting wins over an earlier one.
func Parse(text string) (Behaviour, error) {
	var b Behaviour
	split := func(r rune) bool { return r == '\n' || r == ';' }
	for _, setting := range strings.FieldsFunc(text, split) {
		setting = strings.TrimSpace(setting)
		if setting == "" || strings.HasPrefix(setting, "#") {
			continue
		}
		name, value := setting, ""
		if at := strings.IndexAny(setting, " ="); at >= 0 {
			name, value = setting[:at], strings.TrimSpace(setting[at+1:])
		}
		if err := b.set(name, value); err != nil {
			return b, fmt.Errorf("behaviour %q: %w", setting, err)
		}
	}
	return b, nil
}

func (b *Behaviour) set(name, value string) (err error) {
	switch name {
	case "serve":
		b.Once = false
	case "once", "migrate": // the latter is what the example's chart calls
		b.Once = true
	case "once-sleep":
		b.OnceSleep, err = duration(value)
	case "once-exit":
		b.OnceExit, err = exitCode(value)
	case "exit":
		b.Exit, err = exitCode(value)
		b.Crash = true
	case "crash-after":
		b.CrashAfter, err = duration(value)
		b.Crash = true
		if b.Exit == 0 {
			b.Exit = 1
		}
	case "hang":
		b.Hang = true
	case "unready":
		b.Unready = orElse(value, "not ready")
	case "unhealthy":
		b.Unhealthy = orElse(value, "not healthy")
	case "slow-start":
		b.SlowStart, err = duration(value)
	case "eat-memory":
		b.EatMemory, err = bytes(value)
	case "hostile-logs":
		b.Hostile = true
	case "wait-tcp":
		b.WaitTCP = value
	case "wait-http":
		b.WaitHTTP = value
	case "need-file":
		b.NeedFile = value
	case "need-starts":
		b.NeedStarts, err = exitCode(value)
	case "term-delay":
		b.TermDelay, err = duration(value)
	case "print":
		b.Print = append(b.Print, value)
	default:
		return fmt.Errorf("there is no setting %q", name)
	}
	return err
}

func orElse(value, otherwise string) string {
	if value == "" {
		return otherwise
	}
	return value
}

// duration takes Go's form (1m30s) and plain milliseconds.
func duration(value string) (time.Duration, error) {
	if ms, err := strconv.ParseInt(value, 10, 32); err == nil && ms >= 0 {
		return time.Duration(ms) * time.Millisecond, nil
	}
	d, err := time.ParseDuration(value)
	if err == nil && d < 0 {
		err = fmt.Errorf("a duration below zero")
	}
	return d, err
}

func exitCode(value string) (int, error) {
	code, err := strconv.ParseUint(value, 10, 8)
	return int(code), err
}

// bytes takes Ki, Mi and Gi; without a value it is all there is.
func bytes(value string) (int64, error) {
	if value == "" {
		return -1, nil
	}
	factor := int64(1)
	for suffix, size := range map[string]int64{"Ki": 1 << 10, "Mi": 1 << 20, "Gi": 1 << 30} {
		if rest, found := strings.CutSuffix(value, suffix); found {
			value, factor = rest, size
		}
	}
	count, err := strconv.ParseUint(value, 10, 31)
	return int64(count) * factor, err
}
