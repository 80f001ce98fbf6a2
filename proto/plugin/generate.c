#include "plugin/generate.h"

#include <ctype.h>
#include <stdbool.h>
#include <string.h>

#include <google/protobuf/compiler/plugin.pb-c.h>

#include "common/arena.h"
#include "common/message.h"

typedef Google__Protobuf__Compiler__CodeGeneratorRequest request_message;
typedef Google__Protobuf__Compiler__CodeGeneratorResponse response_message;
typedef Google__Protobuf__Compiler__CodeGeneratorResponse__File output_file;
typedef Google__Protobuf__FileDescriptorProto file_message;
typedef Google__Protobuf__ServiceDescriptorProto service_message;
typedef Google__Protobuf__MethodDescriptorProto method_message;

// Field numbers of descriptor.proto, which paths of comments are made of.
enum { FILE_SERVICE = 6, SERVICE_METHOD = 2 };

struct method {
    const char *proto_name;
    // In C: member of the table and part of function names.
    const char *name;
    const char *comment;
    const char *request_type, *request_lower;
    const char *response_type, *response_lower;
    bool client_streams, server_streams;
};

struct service {
    const char *full_name;
    // Of all names that are made for it.
    const char *prefix;
    const char *comment;
    struct method *methods;
    size_t method_count;
};

struct file {
    const char *name;
    // Without .proto.
    const char *stem;
    struct service *services;
    size_t service_count;
};

// ---- Names, by protobuf-c's rules ----

static bool is_identifier(const char *text, bool dots) {
    bool start = true;
    for (; *text; text++) {
        bool letter = (*text >= 'a' && *text <= 'z') || (*text >= 'A' && *text <= 'Z') || *text == '_';
        bool digit = *text >= '0' && *text <= '9';
        if (*text == '.' && dots && !start) {
            start = true;
            continue;
        }
        if (!letter && (!digit || start)) {
            return false;
        }
        start = false;
    }
    return !start;
}

// "a.b.UserID" to "A__B__UserID": the first letter of each part and the one behind an underscore become capitals, underscores go.
static const char *type_name(mos_arena *arena, const char *full_name) {
    char *name = mos_arena_alloc(arena, 2 * strlen(full_name) + 1);
    char *out = name;
    bool upper = true;
    for (const char *c = full_name; *c; c++) {
        if (*c == '.') {
            *out++ = '_';
            *out++ = '_';
            upper = true;
        } else if (*c == '_') {
            upper = true;
        } else {
            *out++ = upper ? (char)toupper((unsigned char)*c) : *c;
            upper = false;
        }
    }
    return name;
}

// "a.b.UserID" to "a__b__user_id" (`separator` "__"): an underscore before a capital that does not follow one.
static const char *lower_name(mos_arena *arena, const char *full_name, const char *separator) {
    char *name = mos_arena_alloc(arena, 2 * strlen(full_name) + 1);
    char *out = name;
    bool was_upper = true;
    for (const char *c = full_name; *c; c++) {
        if (*c == '.') {
            memcpy(out, separator, strlen(separator));
            out += strlen(separator);
            was_upper = true;
            continue;
        }
        bool upper = *c >= 'A' && *c <= 'Z';
        if (upper && !was_upper) {
            *out++ = '_';
        }
        *out++ = (char)tolower((unsigned char)*c);
        was_upper = upper;
    }
    return name;
}

// ---- From the request to what is to be written ----

static const char *find_comment(const file_message *file, const int32_t *path, size_t path_length) {
    for (size_t i = 0; file->source_code_info && i < file->source_code_info->n_location; i++) {
        const Google__Protobuf__SourceCodeInfo__Location *location = file->source_code_info->location[i];
        if (location->n_path == path_length && memcmp(location->path, path, path_length * sizeof(*path)) == 0) {
            return location->leading_comments;
        }
    }
    return NULL;
}

static mos_status read_method(mos_arena *arena, const method_message *message, struct method *out, struct mos_error *error) {
    if (!message->name || !is_identifier(message->name, false)) {
        return mos_fail(error, MOS_INVALID_ARGUMENT, "a method has no valid name");
    }
    const char *input = message->input_type;
    const char *output = message->output_type;
    if (!input || *input != '.' || !is_identifier(input + 1, true) || !output || *output != '.' || !is_identifier(output + 1, true)) {
        return mos_fail(error, MOS_INVALID_ARGUMENT, "the method %s has no fully qualified request and response", message->name);
    }
    *out = (struct method){.proto_name = message->name,
                           .name = lower_name(arena, message->name, ""),
                           .request_type = type_name(arena, input + 1),
                           .request_lower = lower_name(arena, input + 1, "__"),
                           .response_type = type_name(arena, output + 1),
                           .response_lower = lower_name(arena, output + 1, "__"),
                           .client_streams = message->has_client_streaming && message->client_streaming,
                           .server_streams = message->has_server_streaming && message->server_streaming};
    return MOS_OK;
}

static mos_status read_service(mos_arena *arena, const file_message *file, size_t index, struct service *out, struct mos_error *error) {
    const service_message *message = file->service[index];
    if (!message->name || !is_identifier(message->name, false)) {
        return mos_fail(error, MOS_INVALID_ARGUMENT, "a service has no valid name");
    }
    bool package = file->package && file->package[0];
    if (package && !is_identifier(file->package, true)) {
        return mos_fail(error, MOS_INVALID_ARGUMENT, "the package has no valid name");
    }
    out->full_name = package ? mos_arena_printf(arena, "%s.%s", file->package, message->name) : message->name;
    out->prefix = lower_name(arena, out->full_name, "_");
    out->comment = find_comment(file, (int32_t[]){FILE_SERVICE, (int32_t)index}, 2);
    out->method_count = message->n_method;
    out->methods = mos_arena_array(arena, struct method, message->n_method);
    for (size_t i = 0; i < message->n_method; i++) {
        mos_status status = read_method(arena, message->method[i], &out->methods[i], error);
        if (status != MOS_OK) {
            return mos_fail_context(error, "%s", out->full_name);
        }
        out->methods[i].comment = find_comment(file, (int32_t[]){FILE_SERVICE, (int32_t)index, SERVICE_METHOD, (int32_t)i}, 4);
        for (size_t k = 0; k < i; k++) {
            if (strcmp(out->methods[k].name, out->methods[i].name) == 0) {
                return mos_fail(error, MOS_INVALID_ARGUMENT, "%s: the methods %s and %s have the same name in C", out->full_name,
                                out->methods[k].proto_name, out->methods[i].proto_name);
            }
        }
    }
    return MOS_OK;
}

static mos_status read_file(mos_arena *arena, const file_message *message, struct file *out, struct mos_error *error) {
    size_t length = strlen(message->name);
    for (size_t i = 0; i < length; i++) {
        if (message->name[i] < ' ' || strchr("\"\\", message->name[i])) {
            return mos_fail(error, MOS_INVALID_ARGUMENT, "the name of a file holds a character that no #include takes");
        }
    }
    char *stem = mos_arena_strdup(arena, message->name);
    if (length > 6 && strcmp(stem + length - 6, ".proto") == 0) {
        stem[length - 6] = '\0';
    }
    out->name = message->name;
    out->stem = stem;
    out->service_count = message->n_service;
    out->services = mos_arena_array(arena, struct service, message->n_service);
    for (size_t i = 0; i < message->n_service; i++) {
        mos_status status = read_service(arena, message, i, &out->services[i], error);
        if (status != MOS_OK) {
            return mos_fail_context(error, "%s", message->name);
        }
    }
    return MOS_OK;
}

// ---- Writing ----

static void write_comment(struct mos_buffer *out, const char *indent, const char *comment) {
    while (comment && *comment) {
        size_t length = strcspn(comment, "\n");
        size_t shown = length;
        while (shown > 0 && (comment[shown - 1] == ' ' || comment[shown - 1] == '\r' || comment[shown - 1] == '\t')) {
            shown--;
        }
        mos_buffer_printf(out, "%s//%s%.*s%s\n", indent, shown > 0 && comment[0] != ' ' ? " " : "", (int)shown, comment,
                          // A backslash at the end would draw the next line into the comment.
                          shown > 0 && comment[shown - 1] == '\\' ? "." : "");
        comment += length + (comment[length] == '\n');
    }
}

static void write_guard(struct mos_buffer *out, const struct file *file, const char *side) {
    for (const char *c = file->stem; *c; c++) {
        mos_buffer_append_byte(out, isalnum((unsigned char)*c) ? (uint8_t)toupper((unsigned char)*c) : '_');
    }
    mos_buffer_printf(out, "_GRPC_%s_H\n", side);
}

static void write_head(struct mos_buffer *out, const struct file *file, const char *side, const char *runtime) {
    mos_buffer_printf(out, "// Written by protoc-gen-mosaajii-grpc from %s; do not edit.\n#ifndef ", file->name);
    write_guard(out, file, side);
    mos_buffer_append_text(out, "#define ");
    write_guard(out, file, side);
    mos_buffer_printf(out, "\n#include \"%s\"\n#include \"%s.pb-c.h\"\n", runtime, file->stem);
}

static void write_server_header(struct mos_buffer *out, const struct file *file) {
    write_head(out, file, "SERVER", "control/rpc/rpc.h");
    for (size_t s = 0; s < file->service_count; s++) {
        const struct service *service = &file->services[s];
        mos_buffer_printf(out, "\n// ---- %s ----\n", service->full_name);
        write_comment(out, "", service->comment);
        mos_buffer_printf(out, "struct %s {\n", service->prefix);
        if (service->method_count == 0) {
            mos_buffer_append_text(out, "    char has_no_methods;\n");
        }
        for (size_t m = 0; m < service->method_count; m++) {
            const struct method *method = &service->methods[m];
            write_comment(out, "    ", method->comment);
            mos_buffer_printf(out, "    mos_status (*%s)(struct mos_call *call", method->name);
            if (!method->client_streams) {
                mos_buffer_printf(out, ", const %s *request", method->request_type);
            }
            if (!method->server_streams) {
                mos_buffer_printf(out, ", %s *response", method->response_type);
            }
            mos_buffer_append_text(out, ");\n");
        }
        mos_buffer_append_text(out, "};\n");
        for (size_t m = 0; m < service->method_count; m++) {
            const struct method *method = &service->methods[m];
            if (method->client_streams) {
                mos_buffer_printf(out, "mos_status %s_%s_receive(struct mos_call *call, const %s **out_message);\n", service->prefix,
                                  method->name, method->request_type);
            }
            if (method->server_streams) {
                mos_buffer_printf(out, "mos_status %s_%s_send(struct mos_call *call, const %s *message);\n", service->prefix, method->name,
                                  method->response_type);
            }
        }
        mos_buffer_printf(out, "extern const struct mos_service_descriptor %s_descriptor;\n", service->prefix);
        mos_buffer_printf(out,
                          "// Table and user pointer must outlive the server.\n"
                          "mos_status %s_add(mos_rpc_server *server, const struct %s *table, void *user, struct mos_error *error);\n",
                          service->prefix, service->prefix);
    }
    mos_buffer_append_text(out, "\n#endif\n");
}

static void write_server_method(struct mos_buffer *out, const struct service *service, const struct method *method) {
    mos_buffer_printf(out,
                      "\nstatic mos_status invoke_%s_%s(const void *table, struct mos_call *call, const ProtobufCMessage *request,\n"
                      "        ProtobufCMessage *response) {\n"
                      "%s%s"
                      "    return ((const struct %s *)table)->%s(call",
                      service->prefix, method->name, method->client_streams ? "    (void)request;\n" : "",
                      method->server_streams ? "    (void)response;\n" : "", service->prefix, method->name);
    if (!method->client_streams) {
        mos_buffer_printf(out, ", (const %s *)request", method->request_type);
    }
    if (!method->server_streams) {
        mos_buffer_printf(out, ", (%s *)response", method->response_type);
    }
    mos_buffer_append_text(out, ");\n}\n");
    if (method->client_streams) {
        mos_buffer_printf(out,
                          "\nmos_status %s_%s_receive(struct mos_call *call, const %s **out_message) {\n"
                          "    const ProtobufCMessage *message = NULL;\n"
                          "    mos_status status = mos_call_receive(call, &message);\n"
                          "    *out_message = (const %s *)message;\n"
                          "    return status;\n}\n",
                          service->prefix, method->name, method->request_type, method->request_type);
    }
    if (method->server_streams) {
        mos_buffer_printf(out,
                          "\nmos_status %s_%s_send(struct mos_call *call, const %s *message) {\n"
                          "    return mos_call_send(call, &message->base);\n}\n",
                          service->prefix, method->name, method->response_type);
    }
}

static const char *kind_name(const struct method *method) {
    if (method->client_streams) {
        return method->server_streams ? "MOS_METHOD_BIDI_STREAM" : "MOS_METHOD_CLIENT_STREAM";
    }
    return method->server_streams ? "MOS_METHOD_SERVER_STREAM" : "MOS_METHOD_UNARY";
}

static void write_server_source(struct mos_buffer *out, const struct file *file) {
    mos_buffer_printf(
        out, "// Written by protoc-gen-mosaajii-grpc from %s; do not edit.\n#include \"%s.grpc-server.h\"\n\n#include <stddef.h>\n",
        file->name, file->stem);
    for (size_t s = 0; s < file->service_count; s++) {
        const struct service *service = &file->services[s];
        for (size_t m = 0; m < service->method_count; m++) {
            write_server_method(out, service, &service->methods[m]);
        }
        if (service->method_count > 0) {
            mos_buffer_printf(out, "\nstatic const struct mos_method_descriptor methods_%s[] = {\n", service->prefix);
            for (size_t m = 0; m < service->method_count; m++) {
                const struct method *method = &service->methods[m];
                mos_buffer_printf(out,
                                  "    {\"%s\", %s, &%s__descriptor, &%s__descriptor,\n"
                                  "     offsetof(struct %s, %s), invoke_%s_%s},\n",
                                  method->proto_name, kind_name(method), method->request_lower, method->response_lower, service->prefix,
                                  method->name, service->prefix, method->name);
            }
            mos_buffer_append_text(out, "};\n");
        }
        mos_buffer_printf(out, "\nconst struct mos_service_descriptor %s_descriptor = {\"%s\", %s%s, %zu};\n", service->prefix,
                          service->full_name, service->method_count ? "methods_" : "NULL", service->method_count ? service->prefix : "",
                          service->method_count);
        mos_buffer_printf(out,
                          "\nmos_status %s_add(mos_rpc_server *server, const struct %s *table, void *user, struct mos_error *error) {\n"
                          "    return mos_rpc_server_add(server, &%s_descriptor, table, user, error);\n}\n",
                          service->prefix, service->prefix, service->prefix);
    }
}

// Declarations in the header, definitions in the source: the same first lines.
static void write_client_method(struct mos_buffer *out, const struct service *service, const struct method *method, bool header) {
    const char *end = header ? ";\n" : " {\n";
    if (header) {
        write_comment(out, "", method->comment);
    }
    if (!method->client_streams && !method->server_streams) {
        mos_buffer_printf(out,
                          "mos_status %s_client_%s(mos_rpc_channel *channel, const struct mos_rpc_call_options *options,\n"
                          "        const %s *request, mos_arena *arena,\n        %s **out_response, struct mos_error *error)%s",
                          service->prefix, method->name, method->request_type, method->response_type, end);
        if (!header) {
            mos_buffer_printf(out,
                              "    ProtobufCMessage *response = NULL;\n"
                              "    mos_status status = mos_rpc_unary(channel, \"/%s/%s\", options, &request->base,\n"
                              "                                      &%s__descriptor, arena, &response, error);\n"
                              "    *out_response = (%s *)response;\n"
                              "    return status;\n}\n\n",
                              service->full_name, method->proto_name, method->response_lower, method->response_type);
        }
        return;
    }
    mos_buffer_printf(out, "mos_status %s_client_%s_open(mos_rpc_channel *channel, const struct mos_rpc_call_options *options,\n        ",
                      service->prefix, method->name);
    if (!method->client_streams) {
        mos_buffer_printf(out, "const %s *request, ", method->request_type);
    }
    mos_buffer_printf(out, "mos_rpc_stream **out_stream, struct mos_error *error)%s", end);
    if (!header) {
        mos_buffer_printf(out,
                          "    return mos_rpc_stream_open(channel, \"/%s/%s\", options, %s,\n"
                          "                               &%s__descriptor, out_stream, error);\n}\n\n",
                          service->full_name, method->proto_name, method->client_streams ? "NULL" : "&request->base",
                          method->response_lower);
    }
    if (method->client_streams) {
        mos_buffer_printf(out, "mos_status %s_client_%s_send(mos_rpc_stream *stream, const %s *message, struct mos_error *error)%s",
                          service->prefix, method->name, method->request_type, end);
        if (!header) {
            mos_buffer_append_text(out, "    return mos_rpc_stream_send(stream, &message->base, error);\n}\n\n");
        }
    }
    mos_buffer_printf(out,
                      "mos_status %s_client_%s_receive(mos_rpc_stream *stream, const %s **out_message,\n"
                      "        struct mos_error *error)%s",
                      service->prefix, method->name, method->response_type, end);
    if (!header) {
        mos_buffer_printf(out,
                          "    const ProtobufCMessage *message = NULL;\n"
                          "    mos_status status = mos_rpc_stream_receive(stream, &message, error);\n"
                          "    *out_message = (const %s *)message;\n"
                          "    return status;\n}\n\n",
                          method->response_type);
    }
}

static void write_client(struct mos_buffer *out, const struct file *file, bool header) {
    if (header) {
        write_head(out, file, "CLIENT", "lib/rpc.h");
    } else {
        mos_buffer_printf(out, "// Written by protoc-gen-mosaajii-grpc from %s; do not edit.\n#include \"%s.grpc-client.h\"\n\n",
                          file->name, file->stem);
    }
    for (size_t s = 0; s < file->service_count; s++) {
        const struct service *service = &file->services[s];
        if (header) {
            mos_buffer_printf(out, "\n// ---- %s ----\n", service->full_name);
            write_comment(out, "", service->comment);
        }
        for (size_t m = 0; m < service->method_count; m++) {
            mos_buffer_append_text(out, header ? "\n" : "");
            write_client_method(out, service, &service->methods[m], header);
        }
    }
    mos_buffer_append_text(out, header ? "\n#endif\n" : "");
}

static output_file *make_output(mos_arena *arena, const struct file *file, bool server, bool header) {
    output_file *output = mos_arena_alloc(arena, sizeof(*output));
    google__protobuf__compiler__code_generator_response__file__init(output);
    output->name = mos_arena_printf(arena, "%s.grpc-%s.%s", file->stem, server ? "server" : "client", header ? "h" : "c");
    MOS_CLEANUP_BUFFER struct mos_buffer text = MOS_BUFFER_INIT(0);
    if (!server) {
        write_client(&text, file, header);
    } else if (header) {
        write_server_header(&text, file);
    } else {
        write_server_source(&text, file);
    }
    output->content = mos_arena_strdup(arena, mos_buffer_text(&text));
    return output;
}

// ---- The request as a whole ----

static const file_message *find_file(const request_message *request, const char *name) {
    for (size_t i = 0; i < request->n_proto_file; i++) {
        if (request->proto_file[i]->name && strcmp(request->proto_file[i]->name, name) == 0) {
            return request->proto_file[i];
        }
    }
    return NULL;
}

static mos_status generate_files(mos_arena *arena, const request_message *request, response_message *response, struct mos_error *error) {
    const char *parameter = request->parameter ? request->parameter : "";
    bool server = strcmp(parameter, "server") == 0;
    if (!server && strcmp(parameter, "client") != 0) {
        return mos_fail(error, MOS_INVALID_ARGUMENT, "the parameter must be server or client");
    }
    response->file = mos_arena_array(arena, output_file *, 2 * request->n_file_to_generate);
    for (size_t i = 0; i < request->n_file_to_generate; i++) {
        const file_message *message = find_file(request, request->file_to_generate[i]);
        if (!message) {
            return mos_fail(error, MOS_INVALID_ARGUMENT, "the request does not describe the file %s", request->file_to_generate[i]);
        }
        struct file file = {0};
        mos_status status = read_file(arena, message, &file, error);
        if (status != MOS_OK) {
            return status;
        }
        response->file[response->n_file++] = make_output(arena, &file, server, true);
        response->file[response->n_file++] = make_output(arena, &file, server, false);
    }
    return MOS_OK;
}

mos_status mos_plugin_generate(const uint8_t *request_bytes, size_t size_bytes, struct mos_buffer *out, struct mos_error *error) {
    MOS_CLEANUP_ARENA mos_arena *arena = mos_arena_create(0);
    ProtobufCMessage *request;
    mos_status status = mos_message_unpack(&google__protobuf__compiler__code_generator_request__descriptor, request_bytes, size_bytes,
                                           arena, &request, error);
    if (status != MOS_OK) {
        return status;
    }
    response_message response = GOOGLE__PROTOBUF__COMPILER__CODE_GENERATOR_RESPONSE__INIT;
    response.has_supported_features = true;
    response.supported_features = GOOGLE__PROTOBUF__COMPILER__CODE_GENERATOR_RESPONSE__FEATURE__FEATURE_PROTO3_OPTIONAL;
    struct mos_error problem = {0};
    if (generate_files(arena, (const request_message *)request, &response, &problem) != MOS_OK) {
        response.n_file = 0;
        response.error = problem.message;
    }
    size_t packed_bytes = google__protobuf__compiler__code_generator_response__get_packed_size(&response);
    if (!mos_buffer_reserve(out, packed_bytes)) {
        return mos_fail(error, MOS_RESOURCE_EXHAUSTED, "the answer of %zu bytes is too long", packed_bytes);
    }
    google__protobuf__compiler__code_generator_response__pack(&response, out->data + out->size_bytes);
    out->size_bytes += packed_bytes;
    return MOS_OK;
}
