// The shop's web front.
package main

import (
	"fmt"
	"net/http"
	"os"

	"shop/internal/serve"
)

const page = "<!doctype html><title>Shop</title><h1>Shop</h1><p>Tea and cups."

func main() {
	show := func(w http.ResponseWriter, _ *http.Request) { fmt.Fprintln(w, page) }
	if err := serve.Until("web", http.HandlerFunc(show)); err != nil {
		fmt.Fprintln(os.Stderr, "web:", err)
		os.Exit(1)
	}
}
