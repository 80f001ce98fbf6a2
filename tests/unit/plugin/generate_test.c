#include "plugin/generate.h"

#include <google/protobuf/compiler/plugin.pb-c.h>
#include <stdlib.h>
#include <string.h>

#include "unit/test.h"

typedef Google__Protobuf__Compiler__CodeGeneratorRequest request_message;
typedef Google__Protobuf__Compiler__CodeGeneratorResponse response_message;

// The descriptors of a proto with one service of four methods, all names of it awkward; tests change it and look what comes of it.
static struct {
    Google__Protobuf__MethodDescriptorProto methods[4], *method_list[4];
    Google__Protobuf__ServiceDescriptorProto services[2], *service_list[2];
    Google__Protobuf__SourceCodeInfo info;
    Google__Protobuf__SourceCodeInfo__Location locations[2], *location_list[2];
    int32_t paths[2][4];
    Google__Protobuf__FileDescriptorProto file, *file_list[1];
    char *to_generate[1];
    request_message request;
} given;

static void set_method(size_t index, const char *name, bool client_streams, bool server_streams) {
    given.methods[index] = (Google__Protobuf__MethodDescriptorProto)GOOGLE__PROTOBUF__METHOD_DESCRIPTOR_PROTO__INIT;
    given.methods[index].name = (char *)name;
    given.methods[index].input_type = (char *)".ab.cD.v1x.userID.HTTPServer2Foo";
    given.methods[index].output_type = (char *)".ab.cD.v1x.A1B.snake_case";
    given.methods[index].has_client_streaming = given.methods[index].has_server_streaming = true;
    given.methods[index].client_streaming = client_streams;
    given.methods[index].server_streaming = server_streams;
    given.method_list[index] = &given.methods[index];
}

static void prepare(const char *parameter) {
    set_method(0, "GetHTTPThing", false, false);
    set_method(1, "WatchIt", false, true);
    set_method(2, "Put", true, false);
    set_method(3, "Chat", true, true);
    given.services[0] = (Google__Protobuf__ServiceDescriptorProto)GOOGLE__PROTOBUF__SERVICE_DESCRIPTOR_PROTO__INIT;
    given.services[0].name = (char *)"TheService";
    given.services[0].n_method = 4;
    given.services[0].method = given.method_list;
    given.services[1] = (Google__Protobuf__ServiceDescriptorProto)GOOGLE__PROTOBUF__SERVICE_DESCRIPTOR_PROTO__INIT;
    given.services[1].name = (char *)"Empty";
    given.service_list[0] = &given.services[0];
    given.service_list[1] = &given.services[1];
    static const int32_t paths[2][4] = {{6, 0}, {6, 0, 2, 1}};
    memcpy(given.paths, paths, sizeof(paths));
    static const char *const comments[] = {" Serves.\n\n Well.\n", " Ends with \\\n"};
    for (size_t i = 0; i < 2; i++) {
        given.locations[i] = (Google__Protobuf__SourceCodeInfo__Location)GOOGLE__PROTOBUF__SOURCE_CODE_INFO__LOCATION__INIT;
        given.locations[i].n_path = i == 0 ? 2 : 4;
        given.locations[i].path = given.paths[i];
        given.locations[i].leading_comments = (char *)comments[i];
        given.location_list[i] = &given.locations[i];
    }
    given.info = (Google__Protobuf__SourceCodeInfo)GOOGLE__PROTOBUF__SOURCE_CODE_INFO__INIT;
    given.info.n_location = 2;
    given.info.location = given.location_list;
    given.file = (Google__Protobuf__FileDescriptorProto)GOOGLE__PROTOBUF__FILE_DESCRIPTOR_PROTO__INIT;
    given.file.name = (char *)"dir/odd-name.proto";
    given.file.package = (char *)"ab.cD.v1x";
    given.file.n_service = 2;
    given.file.service = given.service_list;
    given.file.source_code_info = &given.info;
    given.file_list[0] = &given.file;
    given.to_generate[0] = given.file.name;
    given.request = (request_message)GOOGLE__PROTOBUF__COMPILER__CODE_GENERATOR_REQUEST__INIT;
    given.request.parameter = (char *)parameter;
    given.request.n_file_to_generate = 1;
    given.request.file_to_generate = given.to_generate;
    given.request.n_proto_file = 1;
    given.request.proto_file = given.file_list;
}

static response_message *generate(void) {
    size_t size_bytes = google__protobuf__compiler__code_generator_request__get_packed_size(&given.request);
    MOS_CLEANUP_FREE uint8_t *bytes = mos_malloc(size_bytes);
    google__protobuf__compiler__code_generator_request__pack(&given.request, bytes);
    MOS_CLEANUP_BUFFER struct mos_buffer out = MOS_BUFFER_INIT(0);
    struct mos_error error = {0};
    MOS_ASSERT_OK(mos_plugin_generate(bytes, size_bytes, &out, &error), &error);
    response_message *response = google__protobuf__compiler__code_generator_response__unpack(NULL, out.size_bytes, out.data);
    CU_ASSERT_PTR_NOT_NULL_FATAL(response);
    CU_ASSERT_EQUAL(response->supported_features, 1);
    return response;
}

static void release(response_message *response) {
    google__protobuf__compiler__code_generator_response__free_unpacked(response, NULL);
}

static void assert_contains(const char *text, const char *part) {
    if (!strstr(text, part)) {
        mos_test_complain(part, "is not in what was generated");
        CU_FAIL(part);
    }
}

MOS_TEST(server_side) {
    prepare("server");
    response_message *response = generate();
    CU_ASSERT_PTR_NULL(response->error);
    CU_ASSERT_EQUAL_FATAL(response->n_file, 2);
    CU_ASSERT_STRING_EQUAL(response->file[0]->name, "dir/odd-name.grpc-server.h");
    CU_ASSERT_STRING_EQUAL(response->file[1]->name, "dir/odd-name.grpc-server.c");
    const char *header = response->file[0]->content;
    assert_contains(header, "#ifndef DIR_ODD_NAME_GRPC_SERVER_H\n#define DIR_ODD_NAME_GRPC_SERVER_H\n");
    assert_contains(header, "#include \"dir/odd-name.pb-c.h\"\n");
    assert_contains(header, "// Serves.\n//\n// Well.\nstruct ab_c_d_v1x_the_service {\n");
    assert_contains(header, "    mos_status (*get_httpthing)(struct mos_call *call, const Ab__CD__V1x__UserID__HTTPServer2Foo *request, "
                            "Ab__CD__V1x__A1B__SnakeCase *response);\n");
    assert_contains(header, "    // Ends with \\.\n    mos_status (*watch_it)(struct mos_call *call, const "
                            "Ab__CD__V1x__UserID__HTTPServer2Foo *request);\n");
    assert_contains(header, "    mos_status (*put)(struct mos_call *call, Ab__CD__V1x__A1B__SnakeCase *response);\n");
    assert_contains(header, "    mos_status (*chat)(struct mos_call *call);\n");
    assert_contains(header, "ab_c_d_v1x_the_service_watch_it_send(struct mos_call *call, const Ab__CD__V1x__A1B__SnakeCase *message);\n");
    assert_contains(header, "ab_c_d_v1x_the_service_put_receive(struct mos_call *call, "
                            "const Ab__CD__V1x__UserID__HTTPServer2Foo **out_message);\n");
    CU_ASSERT_PTR_NULL(strstr(header, "get_httpthing_send"));
    CU_ASSERT_PTR_NULL(strstr(header, "put_send"));
    assert_contains(header, "struct ab_c_d_v1x_empty {\n");
    const char *source = response->file[1]->content;
    assert_contains(source, "{\"GetHTTPThing\", MOS_METHOD_UNARY, &ab__c_d__v1x__user_id__httpserver2_foo__descriptor, "
                            "&ab__c_d__v1x__a1_b__snake_case__descriptor,\n");
    assert_contains(source, "{\"WatchIt\", MOS_METHOD_SERVER_STREAM,");
    assert_contains(source, "{\"Put\", MOS_METHOD_CLIENT_STREAM,");
    assert_contains(source, "{\"Chat\", MOS_METHOD_BIDI_STREAM,");
    assert_contains(source, "{\"ab.cD.v1x.TheService\", methods_ab_c_d_v1x_the_service, 4}");
    assert_contains(source, "{\"ab.cD.v1x.Empty\", NULL, 0}");
    release(response);
}

MOS_TEST(client_side) {
    prepare("client");
    response_message *response = generate();
    CU_ASSERT_PTR_NULL(response->error);
    CU_ASSERT_EQUAL_FATAL(response->n_file, 2);
    CU_ASSERT_STRING_EQUAL(response->file[0]->name, "dir/odd-name.grpc-client.h");
    const char *header = response->file[0]->content;
    assert_contains(header, "mos_status ab_c_d_v1x_the_service_client_get_httpthing(mos_rpc_channel *channel, ");
    assert_contains(header, "mos_status ab_c_d_v1x_the_service_client_watch_it_open(");
    assert_contains(header, "mos_status ab_c_d_v1x_the_service_client_watch_it_receive(");
    assert_contains(header, "mos_status ab_c_d_v1x_the_service_client_put_send(");
    CU_ASSERT_PTR_NULL(strstr(header, "watch_it_send"));
    assert_contains(response->file[1]->content, "\"/ab.cD.v1x.TheService/GetHTTPThing\"");
    assert_contains(response->file[1]->content, "&ab__c_d__v1x__a1_b__snake_case__descriptor");
    release(response);
}

MOS_TEST(file_without_services_is_valid_and_empty) {
    prepare("server");
    given.file.n_service = 0;
    given.file.package = NULL;
    response_message *response = generate();
    CU_ASSERT_EQUAL_FATAL(response->n_file, 2);
    assert_contains(response->file[0]->content, "#endif");
    CU_ASSERT_PTR_NULL(strstr(response->file[0]->content, "struct"));
    release(response);
}

static void assert_refused(const char *part) {
    response_message *response = generate();
    CU_ASSERT_EQUAL(response->n_file, 0);
    CU_ASSERT_PTR_NOT_NULL_FATAL(response->error);
    assert_contains(response->error, part);
    release(response);
}

MOS_TEST(what_cannot_be_generated_is_named) {
    prepare("java");
    assert_refused("server or client");
    prepare(NULL);
    assert_refused("server or client");
    prepare("server");
    given.to_generate[0] = (char *)"absent.proto";
    assert_refused("absent.proto");
    prepare("server");
    given.methods[1].name = (char *)"getHTTPThing";
    assert_refused("GetHTTPThing and getHTTPThing");
    prepare("server");
    given.methods[1].name = (char *)"a; } int x(void) {";
    assert_refused("no valid name");
    prepare("server");
    given.methods[1].input_type = (char *)"Relative";
    assert_refused("WatchIt");
    prepare("server");
    given.services[0].name = (char *)"";
    assert_refused("no valid name");
    prepare("server");
    given.file.package = (char *)"a..b";
    assert_refused("package");
    prepare("server");
    given.file.name = given.to_generate[0] = (char *)"a\"\n.proto";
    assert_refused("name of a file");
}

MOS_TEST(bytes_that_are_no_request_are_refused) {
    MOS_CLEANUP_BUFFER struct mos_buffer out = MOS_BUFFER_INIT(0);
    struct mos_error error = {0};
    CU_ASSERT_EQUAL(mos_plugin_generate((const uint8_t *)"\x7b\x7b\x7b", 3, &out, &error), MOS_INVALID_ARGUMENT);
    // A message type in a message type, and so on, a thousand times.
    enum { DEPTH = 1000 };
    Google__Protobuf__DescriptorProto *types = mos_calloc(DEPTH, sizeof(*types));
    Google__Protobuf__DescriptorProto **pointers = mos_calloc(DEPTH, sizeof(*pointers));
    for (size_t i = 0; i < DEPTH; i++) {
        types[i] = (Google__Protobuf__DescriptorProto)GOOGLE__PROTOBUF__DESCRIPTOR_PROTO__INIT;
        pointers[i] = &types[i];
        types[i].n_nested_type = i + 1 < DEPTH;
        types[i].nested_type = &pointers[i + 1];
    }
    prepare("server");
    given.file.n_message_type = 1;
    given.file.message_type = pointers;
    size_t size_bytes = google__protobuf__compiler__code_generator_request__get_packed_size(&given.request);
    MOS_CLEANUP_FREE uint8_t *bytes = mos_malloc(size_bytes);
    google__protobuf__compiler__code_generator_request__pack(&given.request, bytes);
    CU_ASSERT_EQUAL(mos_plugin_generate(bytes, size_bytes, &out, &error), MOS_INVALID_ARGUMENT);
    CU_ASSERT_EQUAL(out.size_bytes, 0);
    free(types);
    free(pointers);
}
