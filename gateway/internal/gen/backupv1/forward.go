// Package backupv1 is the generated API: messages, gRPC clients and servers, and the handlers that turn HTTP requests into calls. The
// generated files are made by gateway/build.sh and not kept.
package backupv1

import (
	"context"
	"net/http"

	"github.com/grpc-ecosystem/grpc-gateway/v2/runtime"
	"google.golang.org/protobuf/proto"
)

// Forward writes the messages of a stream to an HTTP client.
type Forward func(ctx context.Context, mux *runtime.ServeMux, marshaler runtime.Marshaler, w http.ResponseWriter, request *http.Request,
	receive func() (proto.Message, error), options ...func(context.Context, http.ResponseWriter, proto.Message) error)

// SetForward puts a writer of the gateway's own in the place of the runtime's, for all streams. Before the first request.
func SetForward(forward Forward) {
	forward_AdminService_ExportAudit_0 = forward
	forward_AlertService_WatchAlerts_0 = forward
	forward_BackupService_ReadFile_0 = forward
	forward_BackupService_WatchBackup_0 = forward
	forward_BackupService_WatchJob_0 = forward
	forward_DisasterRecoveryService_WatchExecution_0 = forward
}
