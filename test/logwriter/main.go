// Command logwriter writes numbered lines at a rate, for tests that count what arrives: "line 00000042 of <name>". Every
// thousandth is a JSON line, every ten-thousandth begins a stack trace of four lines.
package main

import (
	"bufio"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"syscall"
	"time"
)

func main() {
	name := flag.String("name", "writer", "name in every line")
	rate := flag.Int("rate", 1000, "lines a second")
	total := flag.Int("lines", 1000, "lines to write; the program then waits for its end")
	flag.Parse()
	out := bufio.NewWriter(os.Stdout)
	const turn = 10 * time.Millisecond
	ticker := time.NewTicker(turn)
	start := time.Now()
	for n := 0; n < *total; {
		<-ticker.C
		for due := min(*total, int(time.Since(start).Seconds()*float64(*rate))); n < due; n++ {
			writeLine(out, n, *name)
		}
		if err := out.Flush(); err != nil {
			fmt.Fprintln(os.Stderr, "write:", err)
			os.Exit(1)
		}
	}
	// With nothing else to wake it the runtime would take a wait for nothing as a deadlock, end the program, and the kubelet
	// would have it write its lines again.
	end := make(chan os.Signal, 1)
	signal.Notify(end, syscall.SIGTERM, os.Interrupt)
	<-end
}

func writeLine(out *bufio.Writer, n int, name string) {
	switch {
	case n%10000 == 9999:
		fmt.Fprintf(out, "panic: line %08d of %s\n\ngoroutine 1 [running]:\nmain.main()\n", n, name)
	case n%1000 == 999:
		fmt.Fprintf(out, "{\"level\":\"warn\",\"msg\":\"line %08d of %s\",\"trace_id\":\"4bf92f3577b34da6a3ce929d%08x\"}\n", n, name, n)
	default:
		fmt.Fprintf(out, "line %08d of %s\n", n, name)
	}
}
