// Go: `echo` (a goroutine per connection; prints "port N"), `pingpong` (two unbuffered channels), `cond` (a mutex and two sync.Cond), `spawn`
// (--batch), `blocked` (memory of --threads goroutines that wait). Prints nanoseconds an operation, or bytes a goroutine.
package main

import (
	"bufio"
	"flag"
	"fmt"
	"net"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

func serve(connection net.Conn) {
	defer connection.Close()
	buffer := make([]byte, 64)
	for {
		got, err := connection.Read(buffer)
		if err != nil {
			return
		}
		if _, err := connection.Write(buffer[:got]); err != nil {
			return
		}
	}
}

func echo() {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	check(err == nil, "listen")
	fmt.Println("port", listener.Addr().(*net.TCPAddr).Port)
	for {
		connection, err := listener.Accept() // TCP_NODELAY is Go's default
		check(err == nil, "accept")
		go serve(connection)
	}
}

func both(serve, drive func()) {
	var group sync.WaitGroup
	group.Add(2)
	go func() { defer group.Done(); serve() }()
	go func() { defer group.Done(); drive() }()
	group.Wait()
}

func pingpong(n int) {
	there, back := make(chan int), make(chan int)
	both(func() {
		for i := 0; i < n; i++ {
			back <- <-there
		}
	}, func() {
		for i := 0; i < n; i++ {
			there <- i
			<-back
		}
	})
}

func cond(n int) {
	var mutex sync.Mutex
	turned := [2]*sync.Cond{sync.NewCond(&mutex), sync.NewCond(&mutex)}
	turn := 0
	play := func(me int) {
		mutex.Lock()
		for i := 0; i < n; i++ {
			for turn != me {
				turned[me].Wait()
			}
			turn = 1 - me
			turned[1-me].Signal()
		}
		mutex.Unlock()
	}
	both(func() { play(0) }, func() { play(1) })
}

func spawn(n, batch int) {
	var ran int64
	var group sync.WaitGroup
	batches := (n + batch - 1) / batch
	for i := 0; i < batches; i++ {
		group.Add(batch)
		for j := 0; j < batch; j++ {
			go func() { atomic.AddInt64(&ran, 1); group.Done() }()
		}
		group.Wait()
	}
	check(ran == int64(batches*batch), "each ran once")
}

func available() (kib int64) {
	file, err := os.Open("/proc/meminfo")
	check(err == nil, "meminfo")
	defer file.Close()
	for lines := bufio.NewScanner(file); lines.Scan(); {
		if strings.HasPrefix(lines.Text(), "MemAvailable:") {
			fmt.Sscanf(lines.Text()[13:], "%d", &kib)
		}
	}
	return
}

func blocked(n int) {
	gate := make(chan bool)
	before := available()
	for i := 0; i < n; i++ {
		go func() { <-gate }()
	}
	time.Sleep(300 * time.Millisecond)
	fmt.Printf("bytes_per_thread %.0f threads %d\n", float64(before-available())*1024/float64(n), n)
}

func check(ok bool, what string) {
	if !ok {
		fmt.Fprintln(os.Stderr, "goroutines:", what)
		os.Exit(1)
	}
}

// As bench.h's bench_calibrated.
func calibrated(run func(n int), seconds float64) float64 {
	timed := func(n int) float64 {
		start := time.Now()
		run(n)
		return time.Since(start).Seconds()
	}
	for n := 100; ; {
		took := timed(n)
		if took >= seconds/4 {
			n = int(float64(n)*seconds/took) + 1
			return timed(n) / float64(n) * 1e9
		}
		factor := seconds / 3 / took
		if factor < 2 {
			factor = 2
		} else if factor > 10 {
			factor = 10
		}
		n = int(float64(n) * factor)
	}
}

func main() {
	what := os.Args[1]
	options := flag.NewFlagSet(what, flag.ExitOnError)
	seconds := options.Float64("seconds", 1, "")
	batch := options.Int("batch", 1, "")
	threads := options.Int("threads", 100000, "")
	options.Parse(os.Args[2:])
	var run func(n int)
	switch what {
	case "echo":
		echo()
	case "blocked":
		blocked(*threads)
		return
	case "pingpong":
		run = pingpong
	case "cond":
		run = cond
	case "spawn":
		run = func(n int) { spawn(n, *batch) }
	}
	check(run != nil, "echo, pingpong, cond, spawn or blocked?")
	fmt.Printf("ns_per_op %.1f\n", calibrated(run, *seconds))
}
