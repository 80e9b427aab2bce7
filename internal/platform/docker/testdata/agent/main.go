// Command agent stands in for `farmhand agent` in the tests of package docker: it says a line, and ends when told to.
package main

import (
	"fmt"
	"os"
	"os/signal"
	"syscall"
)

func main() {
	told := make(chan os.Signal, 1)
	signal.Notify(told, syscall.SIGTERM)
	fmt.Println("agent starts as process", os.Getpid())
	if len(os.Args) != 2 || os.Args[1] != "agent" {
		fmt.Println("wrong arguments", os.Args)
		os.Exit(2)
	}
	if host, err := os.Hostname(); err == nil {
		fmt.Println("agent serves as", host)
	}
	<-told
	fmt.Println("agent was told to end")
}
