// load asks a server for one backup from many clients while others watch the newest one, and prints what it saw as JSON.
//
//	load ADDRESS BACKUP-ID SECONDS CLIENTS WATCHERS       (the token in BENCH_TOKEN)
//	load execution ADDRESS RUN-ID WATCHERS SLOW           so many follow the execution of a recovery plan, SLOW of them too slowly
//
// Each client and each watcher has a connection of its own. It is written in Go because a client in Python spends more on reading an event
// than the server does on sending it: beside a hundred watchers its own turn-taking is all that it would measure.
package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"strconv"
	"sync"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	backup "github.com/mosaajii/backup/client/go"
	"github.com/mosaajii/backup/client/go/backupv1"
)

// Each client asks, waits, asks again: about a thousand calls a second of two hundred. The wait is never the same, as with people: those that
// always wait equally long fall into step behind the first delay, and from then on queue behind each other.
const pause = 200 * time.Millisecond

func wait() <-chan time.Time {
	return time.After(pause/2 + rand.N(pause))
}

// seen is what all of them have met, in the shape that the caller reads.
type seen struct {
	mutex     sync.Mutex
	Latencies []float64 `json:"latencies"`
	Errors    []string  `json:"errors"`
	Events    int       `json:"events"`
}

func (s *seen) fail(err error) {
	s.mutex.Lock()
	s.Errors = append(s.Errors, err.Error())
	s.mutex.Unlock()
}

func (s *seen) ask(ctx context.Context, server *backup.Server, id string) {
	var latencies []float64
	// Connecting is not what is measured.
	if _, err := server.Backups.GetBackup(ctx, &backupv1.GetBackupRequest{BackupId: id}); err != nil {
		s.fail(err)
	}
	for {
		select {
		case <-ctx.Done():
			s.mutex.Lock()
			s.Latencies = append(s.Latencies, latencies...)
			s.mutex.Unlock()
			return
		case <-wait():
		}
		begun := time.Now()
		// Not under ctx: a call that runs when the time is over counts like every other.
		call, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		_, err := server.Backups.GetBackup(call, &backupv1.GetBackupRequest{BackupId: id})
		cancel()
		if err != nil {
			s.fail(err)
			continue
		}
		latencies = append(latencies, float64(time.Since(begun).Microseconds())/1000)
	}
}

// watch follows the newest backup, whichever that is, to its end, and then the next.
func (s *seen) watch(ctx context.Context, server *backup.Server) {
	var sequence int64
	events := 0
	defer func() {
		s.mutex.Lock()
		s.Events += events
		s.mutex.Unlock()
	}()
	for ctx.Err() == nil {
		listed, err := server.Backups.ListBackups(ctx, &backupv1.ListBackupsRequest{PageSize: 1})
		if err == nil {
			var stream backupv1.BackupService_WatchBackupClient
			stream, err = server.Backups.WatchBackup(ctx, &backupv1.WatchBackupRequest{BackupId: listed.Backups[0].Id, AfterSequence: sequence})
			for err == nil {
				var event *backupv1.JobEvent
				if event, err = stream.Recv(); err == nil {
					sequence = event.Sequence
					events++
				}
			}
		}
		// The server may see the end of the time a moment before this program does.
		if ctx.Err() == nil && err != io.EOF && status.Code(err) != codes.DeadlineExceeded {
			s.fail(err)
		}
		select {
		case <-ctx.Done():
		case <-wait():
		}
	}
}

func main() {
	if len(os.Args) == 6 && os.Args[1] == "execution" {
		os.Exit(executionMain(os.Args[2:]))
	}
	address, id := os.Args[1], os.Args[2]
	var numbers [3]int
	for i := range numbers {
		number, err := strconv.Atoi(os.Args[3+i])
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(2)
		}
		numbers[i] = number
	}
	clients := numbers[1]
	ctx, cancel := context.WithTimeout(context.Background(), time.Duration(numbers[0])*time.Second)
	defer cancel()
	result := &seen{Errors: []string{}}
	var all sync.WaitGroup
	for i := range clients + numbers[2] {
		server, err := backup.Connect(address, os.Getenv("BENCH_TOKEN"), nil)
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		all.Add(1)
		go func() {
			defer all.Done()
			defer server.Close()
			if i < clients {
				result.ask(ctx, server, id)
			} else {
				result.watch(ctx, server)
			}
		}()
	}
	all.Wait()
	if err := json.NewEncoder(os.Stdout).Encode(result); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}
