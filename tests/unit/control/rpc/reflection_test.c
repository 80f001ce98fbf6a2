#include "unit/control/rpc/echo.h"
#include "unit/test.h"

#include <google/protobuf/descriptor.pb-c.h>
#include <grpc/reflection/v1/reflection.pb-c.h>
#include <string.h>

typedef Grpc__Reflection__V1__ServerReflectionRequest reflection_request;
typedef Grpc__Reflection__V1__ServerReflectionResponse reflection_response;
#define REQUEST(member) GRPC__REFLECTION__V1__SERVER_REFLECTION_REQUEST__MESSAGE_REQUEST_##member
#define RESPONSE(member) GRPC__REFLECTION__V1__SERVER_REFLECTION_RESPONSE__MESSAGE_RESPONSE_##member

static const struct mos_rpc_call_options minute = {.timeout_ms = 60000};

static void add_reflection(struct echo *echo) {
    MOS_ASSERT_OK(mos_rpc_server_add_reflection(echo->server, mos_descriptor_set, mos_descriptor_set_bytes, &echo->error), &echo->error);
}

static mos_rpc_stream *open_stream(struct echo *echo, const char *path) {
    mos_rpc_stream *stream;
    MOS_ASSERT_OK(mos_rpc_stream_open(echo->channel, path, &minute, NULL, &grpc__reflection__v1__server_reflection_response__descriptor,
                                      &stream, &echo->error),
                  &echo->error);
    return stream;
}

static const reflection_response *ask(struct echo *echo, mos_rpc_stream *stream, const reflection_request *request) {
    const ProtobufCMessage *message;
    MOS_ASSERT_OK(mos_rpc_stream_send(stream, &request->base, &echo->error), &echo->error);
    MOS_ASSERT_OK(mos_rpc_stream_receive(stream, &message, &echo->error), &echo->error);
    CU_ASSERT_PTR_NOT_NULL_FATAL(message);
    return (const reflection_response *)message;
}

static const reflection_response *ask_symbol(struct echo *echo, mos_rpc_stream *stream, const char *symbol) {
    reflection_request request = GRPC__REFLECTION__V1__SERVER_REFLECTION_REQUEST__INIT;
    request.message_request_case = REQUEST(FILE_CONTAINING_SYMBOL);
    request.file_containing_symbol = (char *)symbol;
    return ask(echo, stream, &request);
}

static bool has_file(const reflection_response *response, const char *name) {
    bool found = false;
    if (response->message_response_case != RESPONSE(FILE_DESCRIPTOR_RESPONSE)) {
        return false;
    }
    for (size_t i = 0; i < response->file_descriptor_response->n_file_descriptor_proto; i++) {
        const ProtobufCBinaryData *bytes = &response->file_descriptor_response->file_descriptor_proto[i];
        Google__Protobuf__FileDescriptorProto *file = google__protobuf__file_descriptor_proto__unpack(NULL, bytes->len, bytes->data);
        CU_ASSERT_PTR_NOT_NULL_FATAL(file);
        found = found || strcmp(file->name, name) == 0;
        google__protobuf__file_descriptor_proto__free_unpacked(file, NULL);
    }
    return found;
}

static void check_all(const char *path) {
    struct echo echo;
    echo_start(&echo, NULL, add_reflection);
    mos_rpc_stream *stream = open_stream(&echo, path);

    reflection_request request = GRPC__REFLECTION__V1__SERVER_REFLECTION_REQUEST__INIT;
    request.message_request_case = REQUEST(LIST_SERVICES);
    request.list_services = (char *)"*";
    const reflection_response *response = ask(&echo, stream, &request);
    CU_ASSERT_EQUAL_FATAL(response->message_response_case, RESPONSE(LIST_SERVICES_RESPONSE));
    CU_ASSERT_EQUAL_FATAL(response->list_services_response->n_service, 3);
    CU_ASSERT_STRING_EQUAL(response->list_services_response->service[0]->name, "mosaajii.rpc.test.v1.EchoService");
    CU_ASSERT_STRING_EQUAL(response->list_services_response->service[2]->name, "grpc.reflection.v1alpha.ServerReflection");

    static const char *const symbols[] = {"mosaajii.backup.v1.BackupService", "mosaajii.backup.v1.BackupService.GetBackup",
                                          "mosaajii.backup.v1.Backup", "mosaajii.backup.v1.Backup.Type", "mosaajii.backup.v1.Backup.id"};
    for (size_t i = 0; i < sizeof(symbols) / sizeof(symbols[0]); i++) {
        response = ask_symbol(&echo, stream, symbols[i]);
        CU_ASSERT(has_file(response, "mosaajii/backup/v1/backup.proto"));
        CU_ASSERT(has_file(response, "google/protobuf/timestamp.proto"));
        CU_ASSERT_STRING_EQUAL(response->original_request->file_containing_symbol, symbols[i]);
    }

    response = ask_symbol(&echo, stream, "mosaajii.backup.v1.NoSuch");
    CU_ASSERT_EQUAL_FATAL(response->message_response_case, RESPONSE(ERROR_RESPONSE));
    CU_ASSERT_EQUAL(response->error_response->error_code, 5);

    request = (reflection_request)GRPC__REFLECTION__V1__SERVER_REFLECTION_REQUEST__INIT;
    request.message_request_case = REQUEST(FILE_BY_FILENAME);
    request.file_by_filename = (char *)"grpc/health/v1/health.proto";
    CU_ASSERT(has_file(ask(&echo, stream, &request), "grpc/health/v1/health.proto"));
    request.file_by_filename = (char *)"no/such.proto";
    CU_ASSERT_EQUAL(ask(&echo, stream, &request)->message_response_case, RESPONSE(ERROR_RESPONSE));

    request = (reflection_request)GRPC__REFLECTION__V1__SERVER_REFLECTION_REQUEST__INIT;
    request.message_request_case = REQUEST(ALL_EXTENSION_NUMBERS_OF_TYPE);
    request.all_extension_numbers_of_type = (char *)"mosaajii.backup.v1.Backup";
    response = ask(&echo, stream, &request);
    CU_ASSERT_EQUAL_FATAL(response->message_response_case, RESPONSE(ALL_EXTENSION_NUMBERS_RESPONSE));
    CU_ASSERT_EQUAL(response->all_extension_numbers_response->n_extension_number, 0);

    Grpc__Reflection__V1__ExtensionRequest extension = GRPC__REFLECTION__V1__EXTENSION_REQUEST__INIT;
    request = (reflection_request)GRPC__REFLECTION__V1__SERVER_REFLECTION_REQUEST__INIT;
    request.message_request_case = REQUEST(FILE_CONTAINING_EXTENSION);
    request.file_containing_extension = &extension;
    extension.containing_type = (char *)"mosaajii.backup.v1.Backup";
    extension.extension_number = 1;
    CU_ASSERT_EQUAL(ask(&echo, stream, &request)->message_response_case, RESPONSE(ERROR_RESPONSE));

    // A request that asks for nothing is an error in the stream, which goes on.
    request = (reflection_request)GRPC__REFLECTION__V1__SERVER_REFLECTION_REQUEST__INIT;
    CU_ASSERT_EQUAL(ask(&echo, stream, &request)->message_response_case, RESPONSE(ERROR_RESPONSE));
    CU_ASSERT(has_file(ask_symbol(&echo, stream, "grpc.health.v1.Health"), "grpc/health/v1/health.proto"));

    MOS_ASSERT_OK(mos_rpc_stream_close_send(stream, &echo.error), &echo.error);
    const ProtobufCMessage *message;
    MOS_ASSERT_OK(mos_rpc_stream_receive(stream, &message, &echo.error), &echo.error);
    CU_ASSERT_PTR_NULL(message);
    CU_ASSERT_EQUAL(mos_rpc_stream_finish(stream, NULL), MOS_OK);
    echo_stop(&echo);
}

MOS_TEST(v1_answers) {
    check_all("/grpc.reflection.v1.ServerReflection/ServerReflectionInfo");
}

MOS_TEST(v1alpha_answers) {
    check_all("/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo");
}

MOS_TEST(bytes_that_are_no_descriptor_set_are_refused) {
    mos_rpc_server *server;
    struct mos_error error = {0};
    MOS_ASSERT_OK(mos_rpc_server_create(&server, &(struct mos_rpc_options){.listen = "127.0.0.1:0"}, &error), &error);
    CU_ASSERT_EQUAL(mos_rpc_server_add_reflection(server, (const uint8_t *)"nonsense", 8, &error), MOS_INVALID_ARGUMENT);
    CU_ASSERT_EQUAL(mos_rpc_server_add_reflection(server, mos_descriptor_set, mos_descriptor_set_bytes - 1, &error), MOS_INVALID_ARGUMENT);
    mos_rpc_server_destroy(server);
}
