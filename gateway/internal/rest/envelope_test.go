package rest

import (
	"testing"
	"time"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/timestamppb"

	pb "github.com/mosaajii/backup/gateway/internal/gen/backupv1"
)

func TestRecordHasEveryFieldAndNumbers(t *testing.T) {
	g, f := pair(t)
	f.on("BackupService.GetBackup", nil, &pb.Backup{Id: "b1", Type: pb.Backup_FULL, Size: 9007199254740993, RetentionDays: 30,
		CreatedAt: timestamppb.New(time.Date(2026, 1, 2, 3, 4, 5, 600_000_000, time.UTC)), Metadata: map[string]string{"b": "2", "a": "1"}})
	g.request("GET", "/api/backups/b1", "").want(200).json(`{"success":true,"data":{
		"id":"b1","name":"","type":"FULL","status":null,"createdAt":"2026-01-02T03:04:05.6Z","completedAt":null,
		"size":9007199254740993,"encryptedSize":0,"keyId":"","checksum":"","encryptedChecksum":"","location":"","encryptedLocation":"",
		"retentionDays":30,"expiresAt":null,"tags":[],"metadata":{"a":"1","b":"2"},"statistics":null,"warnings":0,"message":"",
		"encryptionEnabled":false,"compressionEnabled":false,"integrityCheckEnabled":false,"offsiteEnabled":false,"parentId":"",
		"verifiedAt":null,"lockedUntil":null,"legalHold":false,"createdBy":"","databases":[],
		"quarantined":false,"quarantineReason":""}}`)
	if id := f.last(t).request.Interface().(*pb.GetBackupRequest).GetBackupId(); id != "b1" {
		t.Fatalf("asked for %q", id)
	}
}

func TestListPutsTheArrayItselfIntoData(t *testing.T) {
	g, f := pair(t)
	f.on("AlertService.ListAlerts", nil, &pb.ListAlertsResponse{NextPageToken: "next", Alerts: []*pb.Alert{{Id: "a", Severity: pb.Alert_ERROR}}})
	g.request("GET", "/api/backups/alerts", "").want(200).json(`{"success":true,"pagination":{"nextPageToken":"next"},"data":[{
		"id":"a","backupId":"","severity":"ERROR","type":null,"message":"","details":{},"createdAt":null,"acknowledged":false,
		"acknowledgedAt":null,"acknowledgedBy":"","note":"","lastSeenAt":null,"count":0,"resolvedAt":null}]}`)
	g.request("GET", "/api/offsite-backups", "").want(200).json(`{"success":true,"data":[],"pagination":{"nextPageToken":""}}`)
	g.request("GET", "/api/keys", "").want(200).json(`{"success":true,"data":[],"pagination":{"nextPageToken":""}}`)
}

func TestDeleteAndAcknowledgeAnswerAMessage(t *testing.T) {
	g, f := pair(t)
	f.on("BackupService.DeleteBackup", nil, &pb.DeleteBackupResponse{Message: "gone", BytesFreed: 7})
	g.request("DELETE", "/api/backups/b1", "").want(200).json(`{"success":true,"message":"gone"}`)
	f.on("AlertService.AcknowledgeAlert", nil, &pb.AcknowledgeAlertResponse{Message: "seen", Alert: &pb.Alert{}})
	g.request("POST", "/api/backups/alerts/a1/acknowledge", `{"note":"mine"}`).want(200).json(`{"success":true,"message":"seen"}`)
	request := f.last(t).request.Interface().(*pb.AcknowledgeAlertRequest)
	if request.GetAlertId() != "a1" || request.GetNote() != "mine" {
		t.Fatalf("acknowledged %v", request)
	}
}

func TestErrorsKeepCodeSentenceAndFields(t *testing.T) {
	g, f := pair(t)
	f.on("BackupService.GetBackup", status.Error(codes.NotFound, "no backup has the id \"x\""))
	if sentence, _ := g.request("GET", "/api/backups/x", "").refused(404, "NOT_FOUND"); sentence != "no backup has the id \"x\"" {
		t.Fatal(sentence)
	}
	s, err := status.New(codes.InvalidArgument, "retentionDays is -1; allowed is 1 to 36500").WithDetails(
		&errdetails.BadRequest{FieldViolations: []*errdetails.BadRequest_FieldViolation{{Field: "retentionDays", Description: "allowed is 1 to 36500"}}})
	if err != nil {
		t.Fatal(err)
	}
	f.on("BackupService.CreateBackup", s.Err())
	_, details := g.request("POST", "/api/backups", `{"type":"FULL","retentionDays":-1}`).refused(400, "INVALID_ARGUMENT")
	if len(details) != 1 || details[0]["field"] != "retentionDays" || details[0]["description"] == "" {
		t.Fatal(details)
	}
	for code, want := range map[codes.Code]struct {
		status int
		name   string
	}{
		codes.Unauthenticated: {401, "UNAUTHENTICATED"}, codes.PermissionDenied: {403, "PERMISSION_DENIED"},
		codes.AlreadyExists: {409, "ALREADY_EXISTS"}, codes.Aborted: {409, "ABORTED"}, codes.FailedPrecondition: {400, "FAILED_PRECONDITION"},
		codes.ResourceExhausted: {429, "RESOURCE_EXHAUSTED"}, codes.Unimplemented: {501, "UNIMPLEMENTED"}, codes.Internal: {500, "INTERNAL"},
		codes.Unavailable: {503, "UNAVAILABLE"}, codes.DeadlineExceeded: {504, "DEADLINE_EXCEEDED"}, codes.DataLoss: {500, "DATA_LOSS"},
		codes.Canceled: {499, "CANCELLED"}, codes.OutOfRange: {400, "OUT_OF_RANGE"}, codes.Unknown: {500, "UNKNOWN"},
		codes.Code(77): {500, "UNKNOWN"},
	} {
		f.on("AdminService.GetStatus", status.Error(code, "the server's own words"))
		r := g.request("GET", "/api/status", "")
		if sentence, _ := r.refused(want.status, want.name); sentence != "the server's own words" {
			t.Fatalf("%v: %s", code, sentence)
		}
		if code == codes.Unauthenticated && r.header.Get("WWW-Authenticate") == "" {
			t.Fatal("401 without WWW-Authenticate")
		}
	}
}
