package rest

import (
	"strings"
	"testing"

	pb "github.com/mosaajii/backup/gateway/internal/gen/backupv1"
)

func TestAbsentBooleansStayAbsentAndFalseIsRespected(t *testing.T) {
	g, f := pair(t)
	g.request("POST", "/api/backups", `{"type":"FULL","compressionEnabled":false,"encryptionEnabled":null,"somethingElse":[{"a":1}]}`).want(201)
	request := f.last(t).request.Interface().(*pb.CreateBackupRequest)
	if request.EncryptionEnabled != nil || request.IntegrityCheckEnabled != nil || request.OffsiteEnabled != nil || request.RetentionDays != nil {
		t.Fatalf("not absent: %v", request)
	}
	if request.CompressionEnabled == nil || *request.CompressionEnabled || request.GetType() != pb.Backup_FULL {
		t.Fatalf("not as given: %v", request)
	}
}

func TestPlanAndScheduleAreTheBodyItself(t *testing.T) {
	g, f := pair(t)
	g.request("POST", "/api/disaster-recovery/plans",
		`{"name":"p","priority":"HIGH","backupTypes":["FULL","DATABASE"],"steps":[{"id":"s1","order":1,"estimatedDuration":5,"command":"verify_database"}],
		"createdAt":"2026-01-01T00:00:00+05:00","contacts":[{"email":"a@b"}]}`).want(201)
	plan := f.last(t).request.Interface().(*pb.CreatePlanRequest).GetPlan()
	if plan.GetName() != "p" || plan.GetPriority() != pb.Plan_HIGH || len(plan.GetBackupTypes()) != 2 || plan.GetSteps()[0].GetEstimatedDuration() != 5 {
		t.Fatal(plan)
	}
	g.request("PUT", "/api/schedules/s9", `{"cron":"@daily","backup":{"type":"FILES","offsiteEnabled":false}}`).want(200)
	update := f.last(t).request.Interface().(*pb.UpdateScheduleRequest)
	if update.GetScheduleId() != "s9" || update.GetSchedule().GetCron() != "@daily" || update.GetSchedule().GetBackup().OffsiteEnabled == nil {
		t.Fatal(update)
	}
	g.request("PUT", "/api/offsite-policies/daily_30", `{"retentionDays":31,"name":"other"}`).want(200)
	policy := f.last(t).request.Interface().(*pb.UpdateOffsitePolicyRequest).GetPolicy()
	if policy.GetName() != "daily_30" || policy.GetRetentionDays() != 31 {
		t.Fatal(policy)
	}
}

func TestBodyMayBeEmptyWhereNothingIsRequired(t *testing.T) {
	g, f := pair(t)
	for _, body := range []string{"", "  \n", "null", "{}"} {
		g.request("POST", "/api/backups/b/restore", body).want(201)
		if id := f.last(t).request.Interface().(*pb.RestoreBackupRequest).GetBackupId(); id != "b" {
			t.Fatalf("%q: %q", body, id)
		}
		g.request("POST", "/api/disaster-recovery/plans", body).want(201)
	}
	// A call that has no body takes no offence at one.
	g.request("POST", "/api/backups/b/verify", "whatever").want(200)
	// The path wins over the body.
	g.request("POST", "/api/backups/b/restore", `{"backupId":"other"}`).want(201)
	if id := f.last(t).request.Interface().(*pb.RestoreBackupRequest).GetBackupId(); id != "b" {
		t.Fatal(id)
	}
}

func TestMistakesInBodiesAreNamed(t *testing.T) {
	g, f := pair(t)
	const words = "FULL, INCREMENTAL, DIFFERENTIAL, DATABASE, FILES or CONFIGURATION"
	for _, c := range []struct{ path, body, field, sentence string }{
		{"/api/backups", `{"type":"full"}`, "type", `type is "full"; allowed is ` + words},
		{"/api/backups", `{"type":1}`, "type", `type is 1; allowed is ` + words},
		{"/api/backups", `{"type":"TYPE_UNSPECIFIED"}`, "type", `type is "TYPE_UNSPECIFIED"; allowed is ` + words},
		{"/api/backups", `{"type":""}`, "type", `type is ""; allowed is ` + words},
		{"/api/backups", `{"type":["FULL"]}`, "type", `type is a list; allowed is ` + words},
		{"/api/backups", `{"name":7}`, "name", `name is 7; allowed is a text`},
		{"/api/backups", `{"name":{"a":[]}}`, "name", `name is an object; allowed is a text`},
		{"/api/backups", `{"retentionDays":"30"}`, "retentionDays", `retentionDays is "30"; allowed is a whole number of at most 32 bits`},
		{"/api/backups", `{"retentionDays":1.5}`, "retentionDays", `retentionDays is 1.5; allowed is a whole number of at most 32 bits`},
		{"/api/backups", `{"retentionDays":3000000000}`, "retentionDays", `retentionDays is 3000000000; allowed is a whole number of at most 32 bits`},
		{"/api/backups", `{"retention_days":1e99}`, "retentionDays", `retentionDays is 1e99; allowed is a whole number of at most 32 bits`},
		{"/api/backups", `{"compressionEnabled":"false"}`, "compressionEnabled", `compressionEnabled is "false"; allowed is true or false`},
		{"/api/backups", `{"compressionEnabled":0}`, "compressionEnabled", `compressionEnabled is 0; allowed is true or false`},
		{"/api/backups", `{"tags":"a"}`, "tags", `tags is "a"; allowed is a list`},
		{"/api/backups", `{"tags":["a",null]}`, "tags[1]", `tags[1] is null; allowed is a text`},
		{"/api/backups", `{"tags":["a",{"b":1}]}`, "tags[1]", `tags[1] is an object; allowed is a text`},
		{"/api/backups", `{"type":"FULL","type":"FILES"}`, "type", `type is given twice`},
		{"/api/backups", `{"retentionDays":1,"retention_days":2}`, "retentionDays", `retentionDays is given twice`},
		{"/api/disaster-recovery/plans", `{"steps":[{"order":1},{"order":"2"}]}`, "steps[1].order",
			`steps[1].order is "2"; allowed is a whole number of at most 32 bits`},
		{"/api/disaster-recovery/plans", `{"steps":{}}`, "steps", `steps is an object; allowed is a list`},
		{"/api/disaster-recovery/plans", `{"createdAt":"yesterday"}`, "createdAt",
			`createdAt is "yesterday"; allowed is a time in RFC 3339, as 2026-01-31T09:30:00Z`},
		{"/api/disaster-recovery/plans", `{"createdAt":"2026-13-01T00:00:00Z"}`, "createdAt",
			`createdAt is "2026-13-01T00:00:00Z"; allowed is a time in RFC 3339, as 2026-01-31T09:30:00Z`},
		{"/api/disaster-recovery/plans", `{"createdAt":{"seconds":1}}`, "createdAt",
			`createdAt is an object; allowed is a time in RFC 3339, as 2026-01-31T09:30:00Z`},
		{"/api/schedules", `{"backup":"FULL"}`, "backup", `backup is "FULL"; allowed is an object`},
		{"/api/keys/import", `{"content":"!"}`, "content", `content is "!"; allowed is a text in base64`},
		{"/api/backups", `[1]`, "", `the body is a list; allowed is a JSON object`},
		{"/api/backups", `"FULL"`, "", `the body is "FULL"; allowed is a JSON object`},
		{"/api/backups", `{"type":"FULL"`, "", `the body is not valid JSON: it ends too early`},
		{"/api/backups", `{"type":FULL}`, "", `the body is not valid JSON: invalid character 'F' looking for beginning of value`},
		{"/api/backups", `{"type":"FULL"} {}`, "", `the body is not valid JSON: it goes on after its end`},
		{"/api/backups", "{\"name\":\"\xff\"}", "", `the body is not valid UTF-8`},
		{"/api/backups", `{"name":"\ud800"}`, "", `the body is not valid JSON: a text in it is no valid Unicode`},
	} {
		sentence, details := g.request("POST", c.path, c.body).refused(400, "INVALID_ARGUMENT")
		if sentence != c.sentence {
			t.Errorf("%s: %s", c.body, sentence)
		}
		if c.field == "" && len(details) != 0 || c.field != "" && (len(details) != 1 || details[0]["field"] != c.field || details[0]["description"] != c.sentence) {
			t.Errorf("%s: %v", c.body, details)
		}
	}
	if _, details := g.request("POST", "/api/backups", `{"type":"X","name":1,"tags":2}`).refused(400, "INVALID_ARGUMENT"); len(details) != 3 {
		t.Errorf("not all mistakes are named: %v", details)
	}
	g.request("POST", "/api/backups", `{"x":`+strings.Repeat("[", 100000)+strings.Repeat("]", 100000)+`}`).refused(400, "INVALID_ARGUMENT")
	if f.count() != 0 {
		t.Fatalf("the server was asked: %v", f.last(t).request)
	}
	for _, body := range []string{`{"retentionDays":30.0}`, `{"retentionDays":3e1}`, `{"tags":null,"name":null,"type":null}`} {
		g.request("POST", "/api/backups", body).want(201)
	}
}

func TestFilters(t *testing.T) {
	g, f := pair(t)
	g.request("GET", "/api/backups?type=FULL&status=VERIFIED&tags=a,%20b&tags=c&createdAfter=2026-01-01T00:00:00Z"+
		"&createdBefore=2026-02-01T00:00:00+05:00&pageSize=5&pageToken=t&_=123", "").want(200)
	list := f.last(t).request.Interface().(*pb.ListBackupsRequest)
	if list.GetType() != pb.Backup_FULL || list.GetStatus() != pb.Backup_VERIFIED || strings.Join(list.GetTags(), "|") != "a|b|c" ||
		list.GetCreatedAfter().AsTime().Unix() != 1767225600 || list.GetCreatedBefore().AsTime().Unix() != 1769886000 ||
		list.GetPageSize() != 5 || list.GetPageToken() != "t" {
		t.Fatal(list)
	}
	g.request("GET", "/api/backups/alerts?severity=CRITICAL&type=ANOMALY&acknowledged=false", "").want(200)
	alerts := f.last(t).request.Interface().(*pb.ListAlertsRequest)
	if alerts.GetSeverity() != pb.Alert_CRITICAL || alerts.GetType() != pb.Alert_ANOMALY || alerts.Acknowledged == nil || *alerts.Acknowledged {
		t.Fatal(alerts)
	}
	g.request("GET", "/api/backups/alerts?acknowledged=&type=", "").want(200)
	if alerts = f.last(t).request.Interface().(*pb.ListAlertsRequest); alerts.Acknowledged != nil || alerts.GetType() != 0 {
		t.Fatal(alerts)
	}
	g.request("GET", "/api/offsite-backups?provider=S3&status=UPLOADING&uploadedAfter=2026-01-01T00:00:00.5Z", "").want(200)
	if offsite := f.last(t).request.Interface().(*pb.ListOffsiteBackupsRequest); offsite.GetProvider() != pb.OffsiteBackup_S3 ||
		offsite.GetStatus() != pb.OffsiteBackup_UPLOADING || offsite.GetUploadedAfter().GetNanos() != 500_000_000 {
		t.Fatal(offsite)
	}
	g.request("GET", "/api/disaster-recovery/plans?priority=LOW&status=ACTIVE", "").want(200)
	if plans := f.last(t).request.Interface().(*pb.ListPlansRequest); plans.GetPriority() != pb.Plan_LOW || plans.GetStatus() != pb.Plan_ACTIVE {
		t.Fatal(plans)
	}
	g.request("GET", "/api/disaster-recovery/tests?planId=p", "").want(200)
	if tests := f.last(t).request.Interface().(*pb.ListTestResultsRequest); tests.GetPlanId() != "p" {
		t.Fatal(tests)
	}
	g.request("GET", "/api/backups/b/files?path=/srv%20x&recursive=true&backupId=other", "").want(200)
	if files := f.last(t).request.Interface().(*pb.ListFilesRequest); files.GetPath() != "/srv x" || !files.GetRecursive() || files.GetBackupId() != "b" {
		t.Fatal(files)
	}
	before := f.count()
	for query, sentence := range map[string]string{
		"type=full":               `type is "full"; allowed is FULL, INCREMENTAL, DIFFERENTIAL, DATABASE, FILES or CONFIGURATION`,
		"type=1":                  `type is "1"; allowed is FULL, INCREMENTAL, DIFFERENTIAL, DATABASE, FILES or CONFIGURATION`,
		"type=TYPE_UNSPECIFIED":   `type is "TYPE_UNSPECIFIED"; allowed is FULL, INCREMENTAL, DIFFERENTIAL, DATABASE, FILES or CONFIGURATION`,
		"type=FULL&type=FILES":    `type is given twice`,
		"createdAfter=2026-01-01": `createdAfter is "2026-01-01"; allowed is a time in RFC 3339, as 2026-01-31T09:30:00Z`,
		"pageSize=x":              `pageSize is "x"; allowed is a whole number of at most 32 bits`,
		"pageSize=99999999999":    `pageSize is "99999999999"; allowed is a whole number of at most 32 bits`,
	} {
		got, details := g.request("GET", "/api/backups?"+query, "").refused(400, "INVALID_ARGUMENT")
		if got != sentence || len(details) != 1 || details[0]["field"] != strings.SplitN(query, "=", 2)[0] {
			t.Errorf("%s: %s %v", query, got, details)
		}
	}
	if got, _ := g.request("GET", "/api/backups/alerts?acknowledged=yes", "").refused(400, "INVALID_ARGUMENT"); got != `acknowledged is "yes"; allowed is true or false` {
		t.Error(got)
	}
	if f.count() != before {
		t.Fatalf("the server was asked: %v", f.last(t).request)
	}
}

func TestBodiesThatAreNoJSONByTheirHeaders(t *testing.T) {
	g, f := pair(t)
	for _, fine := range []string{"application/json", "Application/JSON; charset=utf-8", "application/problem+json", ""} {
		g.request("POST", "/api/backups", `{"type":"FULL"}`, "Content-Type", fine).want(201)
	}
	// Who sends nothing needs to say nothing of it.
	g.request("POST", "/api/backups/b/verify", "", "Content-Type", "text/plain").want(200)
	before := f.count()
	for _, wrong := range []string{"text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x", "application/xml", "json", ";"} {
		sentence, _ := g.request("POST", "/api/backups", `{"type":"FULL"}`, "Content-Type", wrong).refused(415, "INVALID_ARGUMENT")
		if sentence != `the body's Content-Type is "`+wrong+`"; allowed is application/json` {
			t.Error(sentence)
		}
	}
	sentence, _ := g.request("POST", "/api/backups", "\x1f\x8b", "Content-Encoding", "gzip").refused(415, "INVALID_ARGUMENT")
	if sentence != `the body's Content-Encoding is "gzip"; allowed is none` {
		t.Error(sentence)
	}
	g.request("POST", "/api/backups", `{"type":"FULL"}`, "Content-Encoding", "identity").want(201)
	if f.count() != before+1 {
		t.Fatal("the server was asked")
	}
}
