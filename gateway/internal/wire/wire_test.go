package wire

import (
	"encoding/json"
	"math"
	"net/url"
	"testing"

	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/types/known/timestamppb"

	pb "github.com/mosaajii/backup/gateway/internal/gen/backupv1"
)

func TestTimesAreUTCAndWrongOnesAreNull(t *testing.T) {
	for want, at := range map[string]*timestamppb.Timestamp{
		`"1970-01-01T00:00:00Z"`: {}, `"2026-01-01T00:00:00.000000001Z"`: {Seconds: 1767225600, Nanos: 1},
		`"9999-12-31T23:59:59Z"`: {Seconds: 253402300799}, `null`: {Seconds: 253402300800},
	} {
		if got := string(AppendMessage(nil, at.ProtoReflect())); got != want {
			t.Errorf("%s, not %s", got, want)
		}
	}
}

func TestNumbersThatJSONLacksAreNull(t *testing.T) {
	for _, number := range []float64{math.NaN(), math.Inf(1), math.Inf(-1)} {
		text := AppendMessage(nil, (&pb.Analytics{SuccessRate: number}).ProtoReflect())
		var value map[string]any
		if err := json.Unmarshal(text, &value); err != nil || value["successRate"] != nil {
			t.Fatal(err, string(text))
		}
	}
}

func TestEnumsWithoutAWordAreNull(t *testing.T) {
	text := AppendMessage(nil, (&pb.Alert{Severity: 77}).ProtoReflect())
	var value map[string]any
	if err := json.Unmarshal(text, &value); err != nil || value["severity"] != nil {
		t.Fatal(err, string(text))
	}
}

// What the check lets pass, protojson must take, so that no error of its own reaches anybody; the one thing it alone finds is a text with
// half a surrogate pair.
func FuzzCheckBody(f *testing.F) {
	for _, seed := range []string{``, `null`, `{}`, `{"name":"a","priority":"HIGH","steps":[{"order":1.0,"dependencies":["x"],"onFailure":"ASK"}]}`,
		`{"createdAt":"2026-01-01T00:00:00.123+05:00"}`, `{"createdAt":"2026-01-01T00:00:00,5Z"}`, `{"recovery_time_objective":1e2,"verified":true}`,
		`{"backupTypes":["FULL",null]}`, `{"contacts":null,"x":[[{}]]}`, `[]`, `{"a":1}{}`, `{"steps":[{"steps":{}}],"version":-0}`,
		`{"createdAt":"2026-01-01T00:00:60Z"}`, `{"createdAt":"0000-01-01T00:00:00Z"}`, `{"createdAt":"2026-01-01t00:00:00z"}`} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, body string) {
		var plan pb.Plan
		if CheckBody(plan.ProtoReflect().Descriptor(), []byte(body)) != nil || body == "" {
			return
		}
		var value any
		if json.Unmarshal([]byte(body), &value) != nil || value == nil {
			return
		}
		err := protojson.UnmarshalOptions{DiscardUnknown: true}.Unmarshal([]byte(body), &plan)
		// json.Marshal writes what was half a pair as the replacement character.
		if again, _ := json.Marshal(value); err != nil && !containsReplacement(again) {
			t.Fatalf("%s passes, but: %v", body, err)
		}
		var decoded any
		if err == nil {
			if err = json.Unmarshal(AppendMessage(nil, plan.ProtoReflect()), &decoded); err != nil {
				t.Fatal(err)
			}
		}
	})
}

func containsReplacement(b []byte) bool {
	for _, r := range string(b) {
		if r == '\ufffd' {
			return true
		}
	}
	return false
}

func FuzzParseQuery(f *testing.F) {
	for _, seed := range []string{"type=FULL&tags=a,b", "createdAfter=2026-01-01T00:00:00Z&pageSize=-1", "status=&tags=,,&tags=%ff"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, query string) {
		values, err := url.ParseQuery(query)
		if err != nil {
			return
		}
		request := &pb.ListBackupsRequest{}
		if ParseQuery(request.ProtoReflect(), values, nil) == nil && len(AppendMessage(nil, request.ProtoReflect())) == 0 {
			t.Fatal("no JSON")
		}
	})
}
