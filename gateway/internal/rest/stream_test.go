package rest

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"

	pb "github.com/mosaajii/backup/gateway/internal/gen/backupv1"
)

func event(sequence int64) *pb.JobEvent {
	return &pb.JobEvent{Sequence: sequence, Kind: pb.JobEvent_PROGRESS, BackupId: "b", Progress: &pb.Progress{BytesDone: 7}}
}

func eventJSON(sequence int64) string {
	return fmt.Sprintf(`{"sequence":%d,"time":null,"kind":"PROGRESS","jobId":"","jobKind":null,"jobStatus":null,"backupId":"b",`+
		`"backupStatus":null,"progress":{"phase":"","filesDone":0,"filesTotal":0,"bytesDone":7,"bytesTotal":0,"bytesPerSecond":0,`+
		`"secondsLeft":0,"current":""},"message":""}`, sequence)
}

func TestWatchIsLinesOfJSON(t *testing.T) {
	g, f := pair(t)
	f.on("BackupService.WatchBackup", nil, event(1), event(2))
	r := g.request("GET", "/api/backups/b/watch?afterSequence=0", "").want(200)
	if r.text != eventJSON(1)+"\n"+eventJSON(2)+"\n" || r.header.Get("Content-Type") != "application/x-ndjson" {
		t.Fatal(r.header, r.text)
	}
	f.on("BackupService.WatchBackup", nil)
	if r = g.request("GET", "/api/backups/b/watch", "").want(200); r.text != "" {
		t.Fatal(r.text)
	}
}

func TestWatchAsServerSentEvents(t *testing.T) {
	g, f := pair(t)
	f.on("DisasterRecoveryService.WatchExecution", nil, &pb.ExecutionEvent{Sequence: 41, Kind: pb.ExecutionEvent_STEP},
		&pb.ExecutionEvent{Kind: pb.ExecutionEvent_HEARTBEAT})
	r := g.request("GET", "/api/disaster-recovery/executions/e/watch", "", "Accept", "text/event-stream").want(200)
	want := "retry: 1000\n\nid: 41\ndata: " + `{"sequence":41,"time":null,"kind":"STEP","status":null,"step":null,"log":null,"percent":0,"secondsLeft":0}` +
		"\n\n: alive\n\n"
	if r.text != want || r.header.Get("Content-Type") != "text/event-stream" {
		t.Fatal(r.header, r.text)
	}
}

func TestWatchGoesOnFromTheLastEventSeen(t *testing.T) {
	g, f := pair(t)
	after := func() int64 { return f.last(t).request.Interface().(*pb.WatchBackupRequest).GetAfterSequence() }
	f.on("BackupService.WatchBackup", nil, event(8))
	g.request("GET", "/api/backups/b/watch?afterSequence=3", "", "Accept", "text/event-stream").want(200)
	if after() != 3 {
		t.Fatal(after())
	}
	// The browser repeats the address it was given first, and says in the header how far it came.
	g.request("GET", "/api/backups/b/watch?afterSequence=3", "", "Accept", "text/event-stream", "Last-Event-ID", "7").want(200)
	if after() != 7 {
		t.Fatal(after())
	}
	g.request("GET", "/api/backups/b/watch", "", "Last-Event-ID", "x").refused(400, "INVALID_ARGUMENT")
	g.request("GET", "/api/backups/b/watch?afterSequence=-x", "").refused(400, "INVALID_ARGUMENT")
	// Nothing is left: a browser that comes back is told to stay away.
	f.on("BackupService.WatchBackup", nil)
	g.request("GET", "/api/backups/b/watch", "", "Accept", "text/event-stream", "Last-Event-ID", "8").want(204)
	g.request("GET", "/api/backups/b/watch?afterSequence=8", "", "Accept", "text/event-stream").want(204)
	g.request("GET", "/api/backups/b/watch", "", "Last-Event-ID", "8").want(200)
}

func TestStreamErrors(t *testing.T) {
	g, f := pair(t)
	f.on("BackupService.WatchBackup", status.Error(codes.NotFound, "no such backup"))
	g.request("GET", "/api/backups/b/watch", "").refused(404, "NOT_FOUND")
	g.request("GET", "/api/backups/b/watch", "", "Accept", "text/event-stream").refused(404, "NOT_FOUND")
	f.on("BackupService.WatchBackup", status.Error(codes.Aborted, "broken off"), event(1))
	problem := `{"success":false,"error":"broken off","code":"ABORTED","details":[]}`
	if r := g.request("GET", "/api/backups/b/watch", "").want(200); r.text != eventJSON(1)+"\n"+problem+"\n" {
		t.Fatal(r.text)
	}
	r := g.request("GET", "/api/backups/b/watch", "", "Accept", "text/event-stream").want(200)
	if r.text != "retry: 1000\n\nid: 1\ndata: "+eventJSON(1)+"\n\nevent: error\ndata: "+problem+"\n\n" {
		t.Fatal(r.text)
	}
}

// hold answers a stream with one event and then waits for the client to go away.
func hold(f *fake) (gone chan struct{}) {
	gone = make(chan struct{})
	f.do("BackupService.WatchBackup", func(ctx context.Context, _ proto.Message, send func(proto.Message) error) error {
		if err := send(event(1)); err != nil {
			return err
		}
		<-ctx.Done()
		close(gone)
		return ctx.Err()
	})
	return gone
}

func TestEventsComeAtOnceAndTheCallEndsWithTheClient(t *testing.T) {
	g, f := pair(t)
	for _, accept := range []string{"application/json", "text/event-stream"} {
		gone := hold(f)
		ctx, cancel := context.WithCancel(context.Background())
		// Asking for gzip must not make anything wait in a compressor.
		response := g.open(ctx, "GET", "/api/backups/b/watch", "", "Accept", accept, "Accept-Encoding", "gzip")
		reader := bufio.NewReader(response.Body)
		for !strings.Contains(lineOf(t, reader), `"sequence":1`) {
		}
		if response.Header.Get("Content-Encoding") != "" {
			t.Fatal("a stream is compressed")
		}
		cancel()
		response.Body.Close()
		waitFor(t, "the end of the call", gone)
	}
}

func TestSilentStreamOpensAndSaysThatItIsAlive(t *testing.T) {
	f := newFake(t)
	g := newGateway(t, f.address, Options{OpenAfter: time.Millisecond, HeartbeatEvery: time.Millisecond})
	f.do("AlertService.WatchAlerts", func(ctx context.Context, _ proto.Message, _ func(proto.Message) error) error {
		<-ctx.Done()
		return ctx.Err()
	})
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	response := g.open(ctx, "GET", "/api/backups/alerts/watch", "", "Accept", "text/event-stream")
	defer response.Body.Close()
	reader := bufio.NewReader(response.Body)
	for alive := 0; alive < 3; {
		if lineOf(t, reader) == ": alive" {
			alive++
		}
	}
	quiet := g.open(ctx, "GET", "/api/backups/alerts/watch", "")
	quiet.Body.Close()
	if quiet.StatusCode != 200 {
		t.Fatal(quiet.StatusCode)
	}
}

func TestStreamsEndWhenTheGatewayStops(t *testing.T) {
	g, f := pair(t)
	gone := hold(f)
	response := g.open(context.Background(), "GET", "/api/backups/b/watch", "")
	defer response.Body.Close()
	reader := bufio.NewReader(response.Body)
	lineOf(t, reader)
	g.handler.Stop()
	if last := lineOf(t, reader); last != `{"success":false,"error":"the gateway is stopping","code":"UNAVAILABLE","details":[]}` {
		t.Fatal(last)
	}
	if _, err := reader.ReadByte(); err != io.EOF {
		t.Fatal(err)
	}
	waitFor(t, "the end of the call", gone)
	g.request("GET", "/api/backups/b/watch", "").refused(503, "UNAVAILABLE")
}

func TestStreamsAreLimited(t *testing.T) {
	f := newFake(t)
	g := newGateway(t, f.address, Options{MaxStreams: 1})
	gone := hold(f)
	ctx, cancel := context.WithCancel(context.Background())
	response := g.open(ctx, "GET", "/api/backups/b/watch", "")
	lineOf(t, bufio.NewReader(response.Body))
	if r := g.request("GET", "/api/backups/b/watch", ""); r.header.Get("Retry-After") == "" {
		t.Fatal("429 without Retry-After")
	} else {
		r.refused(429, "RESOURCE_EXHAUSTED")
	}
	g.request("GET", "/api/backups/b", "").want(200)
	cancel()
	response.Body.Close()
	waitFor(t, "the end of the call", gone)
}

// A browser's EventSource comes back by itself after a cut, but gives up for good at any status but 200.
func TestEventSourceThatComesBackIsNotLostWhileTheServerIsAway(t *testing.T) {
	g, f := pair(t)
	f.on("BackupService.WatchBackup", status.Error(codes.Unavailable, "away"))
	r := g.request("GET", "/api/backups/b/watch", "", "Accept", "text/event-stream", "Last-Event-ID", "7").want(200)
	problem := `{"success":false,"error":"away","code":"UNAVAILABLE","details":[]}`
	if r.text != "retry: 1000\n\nevent: error\ndata: "+problem+"\n\n" || r.header.Get("Content-Type") != "text/event-stream" {
		t.Fatal(r.header, r.text)
	}
	if !strings.Contains(g.log.String(), "code=UNAVAILABLE") {
		t.Fatal(g.log.String())
	}
	// What coming back does not cure, and who does not come back by itself, is told as ever.
	g.request("GET", "/api/backups/b/watch", "", "Accept", "text/event-stream").refused(503, "UNAVAILABLE")
	g.request("GET", "/api/backups/b/watch", "", "Last-Event-ID", "7").refused(503, "UNAVAILABLE")
	f.on("BackupService.WatchBackup", status.Error(codes.NotFound, "gone"))
	g.request("GET", "/api/backups/b/watch", "", "Accept", "text/event-stream", "Last-Event-ID", "7").refused(404, "NOT_FOUND")
	full := newGateway(t, f.address, Options{MaxStreams: 1})
	gone := hold(f)
	ctx, cancel := context.WithCancel(context.Background())
	response := full.open(ctx, "GET", "/api/backups/b/watch", "")
	lineOf(t, bufio.NewReader(response.Body))
	if r = full.request("GET", "/api/backups/b/watch", "", "Accept", "text/event-stream", "Last-Event-ID", "7").want(200); !strings.Contains(r.text, "event: error\n") {
		t.Fatal(r.text)
	}
	cancel()
	response.Body.Close()
	waitFor(t, "the end of the call", gone)
	full.handler.Stop()
	if r = full.request("GET", "/api/backups/b/watch", "", "Accept", "text/event-stream", "Last-Event-ID", "7").want(200); !strings.Contains(r.text, "the gateway is stopping") {
		t.Fatal(r.text)
	}
}

func TestContentIsRaw(t *testing.T) {
	g, f := pair(t)
	f.on("BackupService.ReadFile", nil, &pb.FileChunk{Data: []byte("ab\x00")}, &pb.FileChunk{Offset: 3, Data: []byte("\xffc")})
	r := g.request("GET", "/api/backups/b/content?path=/srv/a%22b.txt", "").want(200)
	if r.text != "ab\x00\xffc" || r.header.Get("Content-Type") != "application/octet-stream" ||
		r.header.Get("Content-Disposition") != `attachment; filename="a\"b.txt"` {
		t.Fatal(r.header, r.text)
	}
	f.on("BackupService.ReadFile", status.Error(codes.NotFound, "no such file"))
	if r = g.request("GET", "/api/backups/b/content?path=/x", ""); r.header.Get("Content-Disposition") != "" {
		t.Fatal(r.header)
	}
	r.refused(404, "NOT_FOUND")
	f.on("AdminService.ExportAudit", nil, &pb.AuditChunk{Data: []byte("{}\n")})
	if r = g.request("GET", "/api/audit/export", "").want(200); r.text != "{}\n" || r.header.Get("Content-Type") != "application/x-ndjson" {
		t.Fatal(r.header, r.text)
	}
	// Half a file must not look like a whole one.
	f.on("BackupService.ReadFile", status.Error(codes.DataLoss, "damaged"), &pb.FileChunk{Data: []byte("half")})
	response := g.open(context.Background(), http.MethodGet, "/api/backups/b/content?path=/x", "")
	defer response.Body.Close()
	if _, err := io.ReadAll(response.Body); err == nil {
		t.Fatal("a broken download ended as if it were whole")
	}
	if !strings.Contains(g.log.String(), "code=DATA_LOSS") {
		t.Fatal(g.log.String())
	}
}
