// Package serve is what the shop's programs have in common: health, and an end
// that lets requests finish.
package serve

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os/signal"
	"syscall"
	"time"
)

// Address is where every program listens.
const Address = ":8080"

// Grace is how long requests may take after the program was told to end.
const Grace = 5 * time.Second

// Handler adds health to what a program serves.
func Handler(own http.Handler) http.Handler {
	mux := http.NewServeMux()
	ok := func(w http.ResponseWriter, _ *http.Request) { fmt.Fprintln(w, "ok") }
	mux.HandleFunc("GET /healthz", ok)
	mux.HandleFunc("GET /readyz", ok)
	mux.Handle("/", own)
	return mux
}

// Until serves until SIGTERM or SIGINT, then lets requests finish.
func Until(name string, own http.Handler) error {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT)
	defer stop()
	server := http.Server{Addr: Address, Handler: Handler(own), ReadHeaderTimeout: Grace}
	done := make(chan error, 1)
	go func() { done <- server.ListenAndServe() }()
	fmt.Println(name, "listens on", Address)
	select {
	case err := <-done:
		return err
	case <-ctx.Done():
	}
	ending, cancel := context.WithTimeout(context.Background(), Grace)
	defer cancel()
	if err := server.Shutdown(ending); err != nil && !errors.Is(err, context.DeadlineExceeded) {
		return err
	}
	fmt.Println(name, "ends")
	return nil
}
