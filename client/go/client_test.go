package backup_test

import (
	"context"
	"errors"
	"io"
	"os"
	"testing"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	backup "github.com/mosaajii/backup/client/go"
	"github.com/mosaajii/backup/client/go/backupv1"
)

func connect(t *testing.T, token string) (*backup.Server, context.Context) {
	t.Helper()
	address := os.Getenv("MOSAAJII_SERVER")
	if address == "" {
		t.Skip("MOSAAJII_SERVER names no live server")
	}
	server, err := backup.Connect(address, token, nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { server.Close() })
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
	t.Cleanup(cancel)
	return server, ctx
}

func TestUnaryAndStream(t *testing.T) {
	server, ctx := connect(t, os.Getenv("MOSAAJII_TOKEN"))
	record, err := server.Backups.CreateBackup(ctx, &backupv1.CreateBackupRequest{Type: backupv1.Backup_CONFIGURATION, Name: "by Go"})
	if err != nil {
		t.Fatal(err)
	}
	stream, err := server.Backups.WatchBackup(ctx, &backupv1.WatchBackupRequest{BackupId: record.Id})
	if err != nil {
		t.Fatal(err)
	}
	var events []*backupv1.JobEvent
	for {
		event, err := stream.Recv()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		events = append(events, event)
	}
	if len(events) < 2 || events[0].Kind != backupv1.JobEvent_QUEUED || events[len(events)-1].Kind != backupv1.JobEvent_FINISHED {
		t.Fatalf("events: %v", events)
	}
	done, err := server.Backups.GetBackup(ctx, &backupv1.GetBackupRequest{BackupId: record.Id})
	if err != nil || done.Name != "by Go" || done.Status != backupv1.Backup_VERIFIED {
		t.Fatalf("%v, %v", done, err)
	}
}

func TestErrors(t *testing.T) {
	server, ctx := connect(t, os.Getenv("MOSAAJII_TOKEN"))
	_, err := server.Backups.GetBackup(ctx, &backupv1.GetBackupRequest{BackupId: "01890000-0000-7000-8000-000000000000"})
	if status.Code(err) != codes.NotFound {
		t.Error(err)
	}
	_, err = server.Backups.CreateBackup(ctx, &backupv1.CreateBackupRequest{})
	if status.Code(err) != codes.InvalidArgument {
		t.Error(err)
	}
	stranger, ctx := connect(t, "wrong")
	_, err = stranger.Backups.ListBackups(ctx, &backupv1.ListBackupsRequest{})
	if status.Code(err) != codes.Unauthenticated {
		t.Error(err)
	}
}
