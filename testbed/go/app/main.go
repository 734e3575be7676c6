// The testbed's application: it serves health, and misbehaves on request.
//
// What it does is read from /etc/behaviour in the image, then from $BEHAVIOUR, then from its
// arguments; the later wins, setting by setting. See behaviour.go for the settings.
package main

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"
)

const (
	behaviourFile = "/etc/behaviour"
	tagFile       = "/etc/tag"
	dataFolder    = "/data"
	dataLog       = "/data/log"
	address       = ":8080"
)

// join puts the three sources together, weakest first.
func join(file, env string, args []string) string {
	return file + "\n" + env + "\n" + strings.Join(args, "\n")
}

func main() {
	tag, _ := os.ReadFile(tagFile)
	version := strings.TrimSpace(string(tag))
	file, _ := os.ReadFile(behaviourFile)
	args := os.Args[1:]
	b, err := Parse(join(string(file), os.Getenv("BEHAVIOUR"), args))
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(64)
	}
	onTerm(b.TermDelay)
	fmt.Printf("app %s starts: %s\n", version, strings.Join(args, " "))
	record("start", args)
	for _, line := range b.Print {
		fmt.Println(line)
	}
	if b.Hostile {
		hostile(os.Stdout)
	}
	if missing := lacks(b); missing != "" {
		fmt.Fprintf(os.Stderr, "app %s cannot go on: %s\n", version, missing)
		os.Exit(1)
	}
	wait(b)
	if b.Once {
		time.Sleep(b.OnceSleep)
		record("end", args)
		fmt.Printf("app %s is done, exit code %d\n", version, b.OnceExit)
		os.Exit(b.OnceExit)
	}
	if b.Crash {
		time.AfterFunc(b.CrashAfter, func() {
			fmt.Fprintf(os.Stderr, "app %s crashes on purpose, exit code %d\n", version, b.Exit)
			os.Exit(b.Exit)
		})
	}
	if b.EatMemory != 0 {
		go eat(b.EatMemory)
	}
	if b.Hang {
		select {}
	}
	time.Sleep(b.SlowStart)
	fmt.Fprintln(os.Stderr, http.ListenAndServe(address, handler(b, version)))
	os.Exit(1)
}

// onTerm exits at once, or after the delay: pid 1 in a container has no default for SIGTERM.
func onTerm(delay time.Duration) {
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, syscall.SIGTERM, syscall.SIGINT)
	go func() {
		<-signals
		time.Sleep(delay)
		os.Exit(0)
	}()
}

func handler(b Behaviour, version string) http.Handler {
	mux := http.NewServeMux()
	check := func(refusal string) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) {
			if refusal != "" {
				http.Error(w, refusal, http.StatusServiceUnavailable)
				return
			}
			fmt.Fprintln(w, "ok")
		}
	}
	mux.HandleFunc("/healthz", check(b.Unhealthy))
	mux.HandleFunc("/readyz", check(b.Unready))
	mux.HandleFunc("/version", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprintln(w, version) })
	mux.HandleFunc("/data", func(w http.ResponseWriter, r *http.Request) { http.ServeFile(w, r, dataLog) })
	return mux
}

// record appends a line to the log on the volume, where one is mounted.
func record(what string, args []string) {
	if _, err := os.Stat(dataFolder); err != nil {
		return
	}
	log, err := os.OpenFile(dataLog, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o644)
	if err == nil {
		// One write: two that append at the same time do not mix.
		_, err = log.WriteString(what + " " + strings.Join(args, " ") + "\n")
		log.Close()
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
	}
}

// lacks says what is missing, where anything is.
func lacks(b Behaviour) string {
	if b.NeedFile != "" {
		if _, err := os.Stat(b.NeedFile); err != nil {
			return err.Error()
		}
	}
	log, _ := os.ReadFile(dataLog)
	if starts := strings.Count("\n"+string(log), "\nstart "); starts < b.NeedStarts {
		return fmt.Sprintf("start %d of %d", starts, b.NeedStarts)
	}
	return ""
}

// wait blocks until what the application depends on answers.
func wait(b Behaviour) {
	const pause = 100 * time.Millisecond
	client := http.Client{Timeout: 2 * time.Second}
	for b.WaitTCP != "" {
		if c, err := net.DialTimeout("tcp", b.WaitTCP, client.Timeout); err == nil {
			c.Close()
			break
		}
		time.Sleep(pause)
	}
	for b.WaitHTTP != "" {
		if r, err := client.Get(b.WaitHTTP); err == nil {
			r.Body.Close()
			if r.StatusCode == http.StatusOK {
				break
			}
		}
		time.Sleep(pause)
	}
}

// eat holds that much memory, every page of it touched; below zero it never stops.
func eat(limit int64) {
	const chunk = 4 << 20
	var held [][]byte
	for eaten := int64(0); limit < 0 || eaten < limit; eaten += chunk {
		page := make([]byte, chunk)
		for i := 0; i < chunk; i += 4096 {
			page[i] = 1
		}
		held = append(held, page)
	}
	fmt.Printf("holding %d MiB\n", len(held)*chunk>>20)
	select {}
}

// hostile writes what a log must never be able to do to those who show it.
func hostile(w io.Writer) {
	for _, line := range []string{
		"::error title=owned::a pod ran a workflow command",
		"::set-output name=revision::666",
		"::stop-commands::token",
		"::add-mask::e",
		"##[group]owned",
		"\x1b[2J\x1b[H\x1b]0;owned\x07\x1b[31mred\x1b[0m",
		"carriage\r::error::after a carriage return",
		"bidi \u202e\u2066desrever\u2069 \u200b\u2028::error::after a line separator",
		"nul \x00 bell \x07 backspace \b\b\b delete \x7f c1 \u009b31m raw \x9b31m",
		"invalid \xff\xfe\xc3\x28 utf-8",
		"``` </details> <script>alert(1)</script> | [x](javascript:alert(1))",
		"long " + strings.Repeat("A", 200_000),
		"password=hunter2 ghp_not-a-real-token",
	} {
		fmt.Fprintln(w, line)
	}
	fmt.Fprint(w, "no newline at the end ::error::owned")
}
