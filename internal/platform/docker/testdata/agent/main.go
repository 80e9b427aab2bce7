// Command agent stands in for `farmhand agent` in the tests of package docker: it says a line, and ends when told to. On a volume at
// /records it writes numbers, each on the disk before the next one is written, by turns to several files.
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
	if _, err := os.Stat(records); err == nil {
		go write()
	}
	<-told
	fmt.Println("agent was told to end")
}

const (
	records = "/records"
	files   = 8
)

// write writes 1, 2, 3 and so on, a line each, until the process ends.
func write() {
	var all [files]*os.File
	for i := range all {
		f, err := os.OpenFile(fmt.Sprintf("%s/%d", records, i), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
		if err != nil {
			fmt.Println("opening records:", err)
			os.Exit(1)
		}
		all[i] = f
	}
	for n := 1; ; n++ {
		f := all[n%files]
		_, err := fmt.Fprintln(f, n)
		if err == nil {
			err = f.Sync()
		}
		if err != nil {
			fmt.Println("writing records:", err)
			os.Exit(1)
		}
	}
}
