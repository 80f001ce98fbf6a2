// Package backup is a client of the Mosaajii Backup server: a connection that carries the token, and every service on it.
package backup

import (
	"context"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"

	"github.com/mosaajii/backup/client/go/backupv1"
)

// Server holds the services, as the clients that grpc-go generates.
type Server struct {
	Backups  backupv1.BackupServiceClient
	Offsite  backupv1.OffsiteServiceClient
	Alerts   backupv1.AlertServiceClient
	Recovery backupv1.DisasterRecoveryServiceClient
	Admin    backupv1.AdminServiceClient

	connection *grpc.ClientConn
}

type bearer struct {
	token  string
	secure bool
}

func (b bearer) GetRequestMetadata(context.Context, ...string) (map[string]string, error) {
	return map[string]string{"authorization": "Bearer " + b.token}, nil
}

func (b bearer) RequireTransportSecurity() bool { return b.secure }

// Connect does not wait for the server: the first call does. Transport credentials of nil leave the connection unencrypted, which fits
// loopback alone.
func Connect(address, token string, transport credentials.TransportCredentials, options ...grpc.DialOption) (*Server, error) {
	secure := transport != nil
	if !secure {
		transport = insecure.NewCredentials()
	}
	options = append([]grpc.DialOption{
		grpc.WithTransportCredentials(transport),
		grpc.WithPerRPCCredentials(bearer{token, secure}),
		grpc.WithDefaultCallOptions(grpc.MaxCallRecvMsgSize(64 << 20)),
	}, options...)
	connection, err := grpc.NewClient(address, options...)
	if err != nil {
		return nil, err
	}
	return &Server{
		Backups:    backupv1.NewBackupServiceClient(connection),
		Offsite:    backupv1.NewOffsiteServiceClient(connection),
		Alerts:     backupv1.NewAlertServiceClient(connection),
		Recovery:   backupv1.NewDisasterRecoveryServiceClient(connection),
		Admin:      backupv1.NewAdminServiceClient(connection),
		connection: connection,
	}, nil
}

// Close ends the connection and all calls on it.
func (s *Server) Close() error { return s.connection.Close() }
