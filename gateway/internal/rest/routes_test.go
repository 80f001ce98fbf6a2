package rest

import (
	"fmt"
	"regexp"
	"strings"
	"testing"

	"google.golang.org/protobuf/reflect/protoreflect"

	"github.com/mosaajii/backup/gateway/internal/gen/backupv1"
	"github.com/mosaajii/backup/gateway/internal/shape"
)

var parameter = regexp.MustCompile(`\{([a-z_.]+)\}`)

// The gateway's own table of routes and the generated router must mean the same, and every call of the API must have a route.
func TestEveryCallHasARouteThatReachesIt(t *testing.T) {
	g, f := pair(t)
	routed := map[protoreflect.FullName]bool{}
	for _, route := range g.handler.table.All() {
		routed[route.Call.FullName()] = true
		values := map[string]string{}
		path := parameter.ReplaceAllStringFunc(route.Template, func(match string) string {
			name := strings.Trim(match, "{}")
			values[name] = fmt.Sprintf("id-%d", len(values))
			return values[name]
		})
		r := g.request(route.Method, path, "{}").want(route.Status)
		seen := f.last(t)
		if want := string(route.Call.Parent().Name()) + "." + string(route.Call.Name()); seen.name != want {
			t.Fatalf("%s %s reached %s, not %s", route.Method, path, seen.name, want)
		}
		for name, value := range values {
			message := seen.request
			parts := strings.Split(name, ".")
			for _, part := range parts[:len(parts)-1] {
				message = message.Get(message.Descriptor().Fields().ByName(protoreflect.Name(part))).Message()
			}
			if got := message.Get(message.Descriptor().Fields().ByName(protoreflect.Name(parts[len(parts)-1]))).String(); got != value {
				t.Fatalf("%s %s: %s is %q, not %q", route.Method, path, name, got, value)
			}
		}
		switch route.Kind {
		case shape.Record, shape.List:
			if !strings.HasPrefix(r.text, `{"success":true,"data":`) {
				t.Fatalf("%s: %s", route.Call.Name(), r.text)
			}
		case shape.Message:
			r.json(`{"success":true,"message":""}`)
		}
	}
	for _, file := range []protoreflect.FileDescriptor{backupv1.File_mosaajii_backup_v1_admin_proto, backupv1.File_mosaajii_backup_v1_alert_proto,
		backupv1.File_mosaajii_backup_v1_backup_proto, backupv1.File_mosaajii_backup_v1_offsite_proto, backupv1.File_mosaajii_backup_v1_recovery_proto} {
		for i := range file.Services().Len() {
			methods := file.Services().Get(i).Methods()
			for j := range methods.Len() {
				if !routed[methods.Get(j).FullName()] {
					t.Errorf("%s has no route", methods.Get(j).FullName())
				}
			}
		}
	}
}

func TestCreatingCallsAnswer201(t *testing.T) {
	g, _ := pair(t)
	for _, path := range []string{"/api/backups", "/api/backups/b/offsite", "/api/disaster-recovery/plans",
		"/api/disaster-recovery/plans/p/execute", "/api/disaster-recovery/plans/p/test", "/api/schedules", "/api/tokens", "/api/backups/b/restore"} {
		g.request("POST", path, `{}`).want(201)
	}
	for _, path := range []string{"/api/backups/b/verify", "/api/backups/b/cancel", "/api/disaster-recovery/executions/e/steps/s/approve"} {
		g.request("POST", path, `{}`).want(200)
	}
}

func TestAlertsIsNeverABackup(t *testing.T) {
	g, f := pair(t)
	for _, path := range []string{"/api/backups/alerts", "/api/backups/al%65rts", "/api/backups/alerts?type=BACKUP_FAILED"} {
		g.request("GET", path, "").want(200)
		if name := f.last(t).name; name != "AlertService.ListAlerts" {
			t.Fatalf("%s reached %s", path, name)
		}
	}
	g.request("GET", "/api/backups/alerts/watch", "").want(200)
	if name := f.last(t).name; name != "AlertService.WatchAlerts" {
		t.Fatal(name)
	}
	g.request("GET", "/api/backups/alerts/files", "").want(200)
	if name := f.last(t).name; name != "AlertService.GetAlert" {
		t.Fatal(name)
	}
	before := f.count()
	g.request("DELETE", "/api/backups/alerts", "").refused(405, "UNIMPLEMENTED")
	g.request("PATCH", "/api/backups/alerts", "{}").refused(405, "UNIMPLEMENTED")
	g.request("POST", "/api/backups/alerts/verify", "").refused(405, "UNIMPLEMENTED")
	g.request("POST", "/api/backups/alerts/restore", "{}").refused(405, "UNIMPLEMENTED")
	if f.count() != before {
		t.Fatalf("the server was asked: %v", f.last(t).name)
	}
	// Words that are routes of their own are no ids either.
	g.request("GET", "/api/schedules/suggestions", "").want(200)
	if name := f.last(t).name; name != "BackupService.SuggestSchedules" {
		t.Fatal(name)
	}
	g.request("GET", "/api/disaster-recovery/plans/suggestion", "").want(200)
	if name := f.last(t).name; name != "DisasterRecoveryService.SuggestPlan" {
		t.Fatal(name)
	}
}

func TestUnknownPathsAndMethods(t *testing.T) {
	g, f := pair(t)
	for _, path := range []string{"/api", "/api/", "/api/nothing", "/api/backups/", "/api/backups//verify", "/api/backups/b/verify/", "/nothing",
		"/api/../api/backups", "/api//backups", "/mosaajii.backup.v1.BackupService/ListBackups"} {
		g.request("GET", path, "").refused(404, "NOT_FOUND")
	}
	for path, allow := range map[string]string{"/api/backups": "GET, POST", "/api/backups/b": "DELETE, GET, PATCH", "/api/status": "GET",
		"/healthz": "GET, HEAD", "/api/openapi.json": "GET, HEAD"} {
		for _, method := range []string{"PUT", "OPTIONS", "TRACE", "PROPFIND"} {
			r := g.request(method, path, "")
			r.refused(405, "UNIMPLEMENTED")
			if r.header.Get("Allow") != allow {
				t.Fatalf("%s %s: Allow: %s", method, path, r.header.Get("Allow"))
			}
		}
	}
	g.request("GET", "/api/backups/%ff", "").refused(400, "INVALID_ARGUMENT")
	g.request("GET", "/api/backups/a%00b", "").refused(400, "INVALID_ARGUMENT")
	g.request("GET", "/api/backups?tags=%ff", "").refused(400, "INVALID_ARGUMENT")
	g.request("GET", "/api/backups?tags=%zz", "").refused(400, "INVALID_ARGUMENT")
	if f.count() != 0 {
		t.Fatalf("the server was asked: %v", f.last(t).name)
	}
	// A method in a header or a form is none.
	g.request("POST", "/api/backups", "", "X-HTTP-Method-Override", "DELETE", "Content-Type", "application/x-www-form-urlencoded").want(201)
	if name := f.last(t).name; name != "BackupService.CreateBackup" {
		t.Fatal(name)
	}
}
