// The shop's worker: it looks for orders to send.
package main

import (
	"fmt"
	"net/http"
	"os"
	"time"

	"shop/internal/serve"
)

const pause = time.Minute

func main() {
	go func() {
		for range time.Tick(pause) {
			fmt.Println("worker: no orders to send")
		}
	}()
	if err := serve.Until("worker", http.NotFoundHandler()); err != nil {
		fmt.Fprintln(os.Stderr, "worker:", err)
		os.Exit(1)
	}
}
