package main

import (
	"reflect"
	"testing"
	"time"
)

func TestParse(t *testing.T) {
	for _, c := range []struct {
		text string
		want Behaviour
	}{
		{"", Behaviour{}},
		{"# a remark\n\nserve\n", Behaviour{}},
		{"crash-after 500", Behaviour{Crash: true, CrashAfter: 500 * time.Millisecond, Exit: 1}},
		{"crash-after=2s; exit=3", Behaviour{Crash: true, CrashAfter: 2 * time.Second, Exit: 3}},
		{"exit 3; crash-after 1", Behaviour{Crash: true, CrashAfter: time.Millisecond, Exit: 3}},
		{"exit 0", Behaviour{Crash: true}},
		{"hang", Behaviour{Hang: true}},
		{"unready", Behaviour{Unready: "not ready"}},
		{"unready the database is down: a=b", Behaviour{Unready: "the database is down: a=b"}},
		{"eat-memory", Behaviour{EatMemory: -1}},
		{"eat-memory 64Mi", Behaviour{EatMemory: 64 << 20}},
		{"once\nonce-sleep 2s\nonce-exit 4", Behaviour{Once: true, OnceSleep: 2 * time.Second, OnceExit: 4}},
		{"once;serve", Behaviour{}},
		{"wait-tcp db:5432;wait-http http://x/y?a=b", Behaviour{WaitTCP: "db:5432", WaitHTTP: "http://x/y?a=b"}},
		{"need-file /data/up;need-starts 3", Behaviour{NeedFile: "/data/up", NeedStarts: 3}},
		{"print one two;print three", Behaviour{Print: []string{"one two", "three"}}},
		{"slow-start 5s;term-delay 1m;hostile-logs", Behaviour{SlowStart: 5 * time.Second, TermDelay: time.Minute, Hostile: true}},
	} {
		got, err := Parse(c.text)
		if err != nil || !reflect.DeepEqual(got, c.want) {
			t.Errorf("%q: got %+v, %v; want %+v", c.text, got, err, c.want)
		}
	}
	for _, bad := range []string{"serv", "exit x", "exit 256", "crash-after -1s", "eat-memory 1Ti", "once-sleep"} {
		if _, err := Parse(bad); err == nil {
			t.Errorf("%q: an error was expected", bad)
		}
	}
}

func TestLaterWins(t *testing.T) {
	got, err := Parse(join("once-exit 3", "", []string{"once", "once-exit 0"}))
	if err != nil || !got.Once || got.OnceExit != 0 {
		t.Errorf("got %+v, %v", got, err)
	}
}
