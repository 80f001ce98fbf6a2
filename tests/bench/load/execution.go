package main

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"strconv"
	"sync"
	"time"

	backup "github.com/mosaajii/backup/client/go"
	"github.com/mosaajii/backup/client/go/backupv1"
)

// A slow watcher lets so much time pass before it reads the next event: far longer than the run takes from one event to the next.
const drowsiness = 500 * time.Millisecond

// A stream that the server has ended early is taken up again where it ended, but not for ever.
const mostResumed = 100

// followed is what all the watchers of one execution have met, in the shape that the caller reads.
type followed struct {
	mutex sync.Mutex
	// Milliseconds from an event to a fast watcher, of the events after the first line that came in.
	Latencies []float64 `json:"latencies"`
	Errors    []string  `json:"errors"`
	Events    int       `json:"events"`
	Resumed   int       `json:"resumed"`
	// Watchers that have not seen each event of the run once and in order.
	Lost int `json:"lost"`
	// Longest that a slow watcher was behind, in milliseconds.
	Behind float64 `json:"behind"`
}

type follower struct {
	slow      bool
	sequences []int64
	latencies []float64
	behind    float64
	resumed   int
}

// follow watches the execution to its end. `first` is told of the first event.
func (f *follower) follow(ctx context.Context, server *backup.Server, id string, begun func() time.Time, first func()) error {
	var after int64
	for {
		stream, err := server.Recovery.WatchExecution(ctx, &backupv1.WatchExecutionRequest{ExecutionId: id, AfterSequence: after})
		for err == nil {
			var event *backupv1.ExecutionEvent
			if event, err = stream.Recv(); err != nil {
				break
			}
			if event.Kind == backupv1.ExecutionEvent_HEARTBEAT {
				continue
			}
			after = event.Sequence
			f.sequences = append(f.sequences, after)
			first()
			late := float64(time.Since(event.Time.AsTime()).Microseconds()) / 1000
			if from := begun(); !from.IsZero() && event.Time.AsTime().After(from) {
				if f.slow {
					f.behind = max(f.behind, late)
				} else {
					f.latencies = append(f.latencies, late)
				}
			}
			if f.slow && !begun().IsZero() {
				time.Sleep(drowsiness)
			}
		}
		if err == io.EOF {
			return nil
		}
		if f.resumed++; f.resumed > mostResumed || ctx.Err() != nil {
			return err
		}
	}
}

func same(a, b []int64) bool {
	if len(a) != len(b) {
		return false
	}
	for i := range a {
		if a[i] != b[i] {
			return false
		}
	}
	return true
}

// watchExecution follows an execution from many connections, some of them slow: prints "watching" when each has seen its first event, waits
// for a line, and prints what they saw when the execution is over.
func watchExecution(address, id string, watchers, slow int) error {
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Minute)
	defer cancel()
	var lock sync.RWMutex
	var from time.Time
	begun := func() time.Time {
		lock.RLock()
		defer lock.RUnlock()
		return from
	}
	result := &followed{Latencies: []float64{}, Errors: []string{}}
	followers := make([]follower, watchers)
	var all, seen sync.WaitGroup
	for i := range followers {
		server, err := backup.Connect(address, os.Getenv("BENCH_TOKEN"), nil)
		if err != nil {
			return err
		}
		followers[i].slow = i < slow
		all.Add(1)
		seen.Add(1)
		go func() {
			defer all.Done()
			defer server.Close()
			var once sync.Once
			// A watcher that never sees anything must not hold up the others.
			defer once.Do(seen.Done)
			if err := followers[i].follow(ctx, server, id, begun, func() { once.Do(seen.Done) }); err != nil {
				result.mutex.Lock()
				result.Errors = append(result.Errors, err.Error())
				result.mutex.Unlock()
			}
		}()
	}
	seen.Wait()
	fmt.Println("watching")
	if _, err := bufio.NewReader(os.Stdin).ReadString('\n'); err != nil {
		return err
	}
	lock.Lock()
	from = time.Now()
	lock.Unlock()
	all.Wait()
	// What there was to see, as one who comes afterwards sees it.
	server, err := backup.Connect(address, os.Getenv("BENCH_TOKEN"), nil)
	if err != nil {
		return err
	}
	defer server.Close()
	var whole follower
	if err := whole.follow(ctx, server, id, func() time.Time { return time.Time{} }, func() {}); err != nil {
		return err
	}
	for i := range followers {
		f := &followers[i]
		result.Latencies = append(result.Latencies, f.latencies...)
		result.Events += len(f.sequences)
		result.Resumed += f.resumed
		result.Behind = max(result.Behind, f.behind)
		if !same(f.sequences, whole.sequences) {
			result.Lost++
		}
	}
	return json.NewEncoder(os.Stdout).Encode(result)
}

func executionMain(arguments []string) int {
	var numbers [2]int
	for i := range numbers {
		number, err := strconv.Atoi(arguments[2+i])
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 2
		}
		numbers[i] = number
	}
	if err := watchExecution(arguments[0], arguments[1], numbers[0], numbers[1]); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return 0
}
