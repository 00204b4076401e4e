// SPDX-License-Identifier: ISC
//
// What Go does of the benchmarks:
//
//	go_peer echo ADDRESS           ADDRESS is tcp:PORT, udp:PORT or unix:PATH
//	go_peer proxy ADDRESS TARGET   one way, by io.Copy, which splices
//	go_peer resolve hosts|dns AT_ONCE MS
//	go_peer [--list] [--size SIZE] [ROW...]   goroutines, in the benchmarks' line format
package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"os"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

func fail(err error) {
	fmt.Fprintln(os.Stderr, "go_peer:", err)
	os.Exit(1)
}

func split(address string) (string, string) {
	kind, place, _ := strings.Cut(address, ":")
	if kind == "unix" {
		return kind, place
	}
	return kind, "127.0.0.1:" + place
}

func listen(address string) net.Listener {
	listener, err := net.Listen(split(address))
	if err != nil {
		fail(err)
	}
	return listener
}

func echoConnection(conn net.Conn) {
	defer conn.Close()
	space := make([]byte, 16384)
	for {
		got, err := conn.Read(space)
		if err != nil {
			return
		}
		if _, err = conn.Write(space[:got]); err != nil {
			return
		}
	}
}

func echoDatagrams(address string) {
	_, place := split(address)
	where, err := net.ResolveUDPAddr("udp4", place)
	if err != nil {
		fail(err)
	}
	socket, err := net.ListenUDP("udp4", where)
	if err != nil {
		fail(err)
	}
	space := make([]byte, 65536)
	for {
		got, from, err := socket.ReadFromUDPAddrPort(space)
		if err != nil {
			fail(err)
		}
		if _, err = socket.WriteToUDPAddrPort(space[:got], from); err != nil {
			fail(err)
		}
	}
}

func echo(address string) {
	if strings.HasPrefix(address, "udp:") {
		echoDatagrams(address)
	}
	listener := listen(address)
	for {
		conn, err := listener.Accept()
		if err == nil {
			go echoConnection(conn)
		}
	}
}

func proxy(address, target string) {
	listener := listen(address)
	for {
		from, err := listener.Accept()
		if err != nil {
			continue
		}
		to, err := net.Dial(split(target))
		if err != nil {
			from.Close()
			continue
		}
		go func() {
			io.Copy(to, from)
			from.Close()
			to.Close()
		}()
	}
}

func cpuTime() time.Duration {
	var usage syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &usage); err != nil {
		fail(err)
	}
	return time.Duration(usage.Utime.Nano() + usage.Stime.Nano())
}

func resolve(source string, atOnce, milliseconds int) {
	resolver := net.Resolver{PreferGo: true}
	var count int64
	var wait sync.WaitGroup
	start := time.Now()
	until := start.Add(time.Duration(milliseconds) * time.Millisecond)
	for i := 0; i < atOnce; i++ {
		wait.Add(1)
		go func() {
			defer wait.Done()
			for time.Now().Before(until) {
				i := atomic.AddInt64(&count, 1)
				name := "peer5.test"
				if source == "dns" {
					name = fmt.Sprintf("n%d-%d.test.", os.Getpid(), i)
				}
				if _, err := resolver.LookupIP(context.Background(), "ip4", name); err != nil {
					fail(err)
				}
			}
		}()
	}
	wait.Wait()
	text, err := json.Marshal(map[string]interface{}{
		"row": "resolve-" + source, "case": strconv.Itoa(atOnce), "unit": "1/s", "n": count,
		"value":  float64(count) / time.Since(start).Seconds(),
		"cpu_us": float64(cpuTime().Microseconds()) / float64(count),
	})
	if err != nil {
		fail(err)
	}
	fmt.Println(string(text))
}

// --- Goroutines ----------------------------------------------------------------------------------

func line(row, variant string, value float64, unit string, n int) {
	text, err := json.Marshal(map[string]interface{}{
		"row": row, "case": variant, "value": value, "unit": unit, "n": n,
	})
	if err != nil {
		fail(err)
	}
	fmt.Println(string(text))
}

func perOp(start time.Time, n int) float64 {
	return float64(time.Since(start).Nanoseconds()) / float64(n)
}

func yields(fibers, total int) {
	each := total / fibers
	if each == 0 {
		each = 1
	}
	var done, ready sync.WaitGroup
	start := make(chan struct{})
	done.Add(fibers)
	ready.Add(fibers)
	for i := 0; i < fibers; i++ {
		go func() {
			ready.Done()
			<-start
			for j := 0; j < each; j++ {
				runtime.Gosched()
			}
			done.Done()
		}()
	}
	ready.Wait()
	began := time.Now()
	close(start)
	done.Wait()
	line("yield", strconv.Itoa(fibers), perOp(began, fibers*each), "ns", fibers*each)
}

func forks(n int) {
	began := time.Now()
	for i := 0; i < n; i++ {
		ended := make(chan struct{})
		go func() { close(ended) }()
		<-ended
	}
	line("fork-join", "1", perOp(began, n), "ns", n)
	began = time.Now()
	for i := 0; i < n/1000; i++ {
		var wait sync.WaitGroup
		wait.Add(1000)
		for j := 0; j < 1000; j++ {
			go wait.Done()
		}
		wait.Wait()
	}
	if n >= 1000 {
		line("fork-join", "1000", perOp(began, n/1000*1000), "ns", n/1000*1000)
	}
}

func resident() int64 {
	text, err := os.ReadFile("/proc/self/statm")
	if err != nil {
		fail(err)
	}
	pages, err := strconv.ParseInt(strings.Fields(string(text))[1], 10, 64)
	if err != nil {
		fail(err)
	}
	return pages * int64(os.Getpagesize())
}

func idle(n int) {
	runtime.GC()
	before := resident()
	end := make(chan struct{})
	var ready sync.WaitGroup
	ready.Add(n)
	for i := 0; i < n; i++ {
		go func() {
			ready.Done()
			<-end
		}()
	}
	ready.Wait()
	line("idle-fiber", strconv.Itoa(n), float64(resident()-before)/float64(n), "B", n)
	close(end)
}

func goroutines(arguments []string) {
	size := "short"
	wanted := map[string]bool{}
	rows := []string{"yield", "fork-join", "idle-fiber"}
	for i := 0; i < len(arguments); i++ {
		switch arguments[i] {
		case "--list":
			fmt.Println(strings.Join(rows, "\n"))
			return
		case "--size":
			i++
			size = arguments[i]
		default:
			wanted[arguments[i]] = true
		}
	}
	scale := map[string]int{"shortest": 1, "short": 20, "full": 50}[size]
	if scale == 0 {
		fail(fmt.Errorf("no size %s", size))
	}
	run := func(row string) bool { return len(wanted) == 0 || wanted[row] }
	if run("yield") {
		yields(2, 50000*scale)
		yields(1000, 50000*scale)
		if size != "shortest" {
			yields(100000, 50000*scale)
		}
	}
	if run("fork-join") {
		forks(5000 * scale)
	}
	if run("idle-fiber") {
		if size == "shortest" {
			idle(1000)
		} else {
			idle(100000)
		}
		if size == "full" {
			idle(1000000)
		}
	}
}

func main() {
	arguments := os.Args[1:]
	number := func(i int) int {
		n, err := strconv.Atoi(arguments[i])
		if err != nil {
			fail(err)
		}
		return n
	}
	switch {
	case len(arguments) == 2 && arguments[0] == "echo":
		echo(arguments[1])
	case len(arguments) == 3 && arguments[0] == "proxy":
		proxy(arguments[1], arguments[2])
	case len(arguments) == 4 && arguments[0] == "resolve":
		resolve(arguments[1], number(2), number(3))
	default:
		goroutines(arguments)
	}
}
