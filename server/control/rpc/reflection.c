// grpc.reflection: answers with the bytes of the descriptor set's own files and of those they import. v1 and v1alpha have the same wire
// form, so one handler serves both.
#include <stdlib.h>
#include <string.h>

#include <google/protobuf/descriptor.pb-c.h>
#include <grpc/reflection/v1/reflection.grpc-server.h>

#include "common/buffer.h"
#include "control/rpc/rpc_internal.h"

typedef Grpc__Reflection__V1__ServerReflectionRequest reflection_request;
typedef Grpc__Reflection__V1__ServerReflectionResponse reflection_response;
typedef Google__Protobuf__FileDescriptorProto file_message;
typedef Google__Protobuf__DescriptorProto type_message;

struct symbol {
    const char *name;
    size_t file;
};

struct extension {
    const char *type; // of what is extended
    int32_t number;
    size_t file;
};

struct file {
    file_message *message;
    ProtobufCBinaryData bytes;
};

struct mos_reflection {
    mos_rpc_server *server;
    mos_arena *arena;
    struct file *files;
    size_t file_count;
    struct symbol *symbols; // sorted by name
    size_t symbol_count, symbol_capacity;
    struct extension *extensions;
    size_t extension_count;
    // v1's descriptor under v1alpha's name.
    struct mos_service_descriptor alpha;
};

// ---- The index ----

static const char *join(mos_arena *arena, const char *scope, const char *name) {
    return scope[0] ? mos_arena_printf(arena, "%s.%s", scope, name) : name;
}

static void add_symbol(struct mos_reflection *reflection, const char *name, size_t file) {
    if (reflection->symbol_count == reflection->symbol_capacity) {
        reflection->symbol_capacity = reflection->symbol_capacity ? 2 * reflection->symbol_capacity : 256;
        reflection->symbols = mos_realloc(reflection->symbols, reflection->symbol_capacity * sizeof(*reflection->symbols));
    }
    reflection->symbols[reflection->symbol_count++] = (struct symbol){.name = name, .file = file};
}

static void add_extensions(struct mos_reflection *reflection, Google__Protobuf__FieldDescriptorProto *const *fields, size_t count,
                           const char *scope, size_t file) {
    for (size_t i = 0; i < count; i++) {
        add_symbol(reflection, join(reflection->arena, scope, fields[i]->name), file);
        const char *type = fields[i]->extendee ? fields[i]->extendee : "";
        size_t bytes = (reflection->extension_count + 1) * sizeof(*reflection->extensions);
        reflection->extensions = mos_realloc(reflection->extensions, bytes);
        reflection->extensions[reflection->extension_count++] =
            (struct extension){.type = type + (type[0] == '.'), .number = fields[i]->number, .file = file};
    }
}

static void add_enum(struct mos_reflection *reflection, const Google__Protobuf__EnumDescriptorProto *type, const char *scope, size_t file) {
    add_symbol(reflection, join(reflection->arena, scope, type->name), file);
    // Values stand beside their type, as in C++.
    for (size_t i = 0; i < type->n_value; i++) {
        add_symbol(reflection, join(reflection->arena, scope, type->value[i]->name), file);
    }
}

static void add_type(struct mos_reflection *reflection, const type_message *type, const char *scope, size_t file) {
    const char *name = join(reflection->arena, scope, type->name);
    add_symbol(reflection, name, file);
    for (size_t i = 0; i < type->n_field; i++) {
        add_symbol(reflection, join(reflection->arena, name, type->field[i]->name), file);
    }
    for (size_t i = 0; i < type->n_oneof_decl; i++) {
        add_symbol(reflection, join(reflection->arena, name, type->oneof_decl[i]->name), file);
    }
    for (size_t i = 0; i < type->n_nested_type; i++) {
        add_type(reflection, type->nested_type[i], name, file);
    }
    for (size_t i = 0; i < type->n_enum_type; i++) {
        add_enum(reflection, type->enum_type[i], name, file);
    }
    add_extensions(reflection, type->extension, type->n_extension, name, file);
}

static void add_file(struct mos_reflection *reflection, size_t index) {
    const file_message *file = reflection->files[index].message;
    const char *package = file->package ? file->package : "";
    for (size_t i = 0; i < file->n_message_type; i++) {
        add_type(reflection, file->message_type[i], package, index);
    }
    for (size_t i = 0; i < file->n_enum_type; i++) {
        add_enum(reflection, file->enum_type[i], package, index);
    }
    for (size_t i = 0; i < file->n_service; i++) {
        const char *name = join(reflection->arena, package, file->service[i]->name);
        add_symbol(reflection, name, index);
        for (size_t m = 0; m < file->service[i]->n_method; m++) {
            add_symbol(reflection, join(reflection->arena, name, file->service[i]->method[m]->name), index);
        }
    }
    add_extensions(reflection, file->extension, file->n_extension, package, index);
}

static int compare_symbols(const void *a, const void *b) {
    return strcmp(((const struct symbol *)a)->name, ((const struct symbol *)b)->name);
}

// Fills the files' bytes as they stand in the set; false for bytes that are no set.
static bool slice_set(struct mos_reflection *reflection, const uint8_t *next, size_t size_bytes) {
    const uint8_t *end = next + size_bytes;
    for (size_t i = 0; i < reflection->file_count; i++) {
        if (next == end || *next++ != (1 << 3 | PROTOBUF_C_WIRE_TYPE_LENGTH_PREFIXED)) {
            return false;
        }
        size_t length = 0;
        unsigned shift = 0;
        do {
            if (next == end || shift > 28) {
                return false;
            }
            length |= (size_t)(*next & 0x7f) << shift;
            shift += 7;
        } while (*next++ & 0x80);
        if (length > (size_t)(end - next)) {
            return false;
        }
        reflection->files[i].bytes = (ProtobufCBinaryData){.len = length, .data = (uint8_t *)next};
        next += length;
    }
    return next == end;
}

// ---- Answers ----

static const struct file *find_file(const struct mos_reflection *reflection, const char *name, size_t *out_index) {
    for (size_t i = 0; i < reflection->file_count; i++) {
        if (reflection->files[i].message->name && strcmp(reflection->files[i].message->name, name) == 0) {
            *out_index = i;
            return &reflection->files[i];
        }
    }
    return NULL;
}

static void collect(const struct mos_reflection *reflection, size_t index, bool *seen, ProtobufCBinaryData *out, size_t *count) {
    if (seen[index]) {
        return;
    }
    seen[index] = true;
    out[(*count)++] = reflection->files[index].bytes;
    const file_message *file = reflection->files[index].message;
    for (size_t i = 0; i < file->n_dependency; i++) {
        size_t dependency;
        if (find_file(reflection, file->dependency[i], &dependency)) {
            collect(reflection, dependency, seen, out, count);
        }
    }
}

static void answer_file(const struct mos_reflection *reflection, size_t index, mos_arena *arena, reflection_response *response) {
    Grpc__Reflection__V1__FileDescriptorResponse *files = mos_arena_alloc(arena, sizeof(*files));
    bool *seen = mos_arena_array(arena, bool, reflection->file_count);
    grpc__reflection__v1__file_descriptor_response__init(files);
    files->file_descriptor_proto = mos_arena_array(arena, ProtobufCBinaryData, reflection->file_count);
    collect(reflection, index, seen, files->file_descriptor_proto, &files->n_file_descriptor_proto);
    response->message_response_case = GRPC__REFLECTION__V1__SERVER_REFLECTION_RESPONSE__MESSAGE_RESPONSE_FILE_DESCRIPTOR_RESPONSE;
    response->file_descriptor_response = files;
}

static void answer_error(mos_status status, const char *message, mos_arena *arena, reflection_response *response) {
    Grpc__Reflection__V1__ErrorResponse *error = mos_arena_alloc(arena, sizeof(*error));
    grpc__reflection__v1__error_response__init(error);
    error->error_code = mos_status_grpc_code(status);
    error->error_message = (char *)message;
    response->message_response_case = GRPC__REFLECTION__V1__SERVER_REFLECTION_RESPONSE__MESSAGE_RESPONSE_ERROR_RESPONSE;
    response->error_response = error;
}

static void answer_list(const struct mos_reflection *reflection, mos_arena *arena, reflection_response *response) {
    size_t count = reflection->server->service_count;
    Grpc__Reflection__V1__ListServiceResponse *list = mos_arena_alloc(arena, sizeof(*list));
    grpc__reflection__v1__list_service_response__init(list);
    list->service = mos_arena_array(arena, Grpc__Reflection__V1__ServiceResponse *, count);
    for (size_t i = 0; i < count; i++) {
        list->service[i] = mos_arena_alloc(arena, sizeof(*list->service[i]));
        grpc__reflection__v1__service_response__init(list->service[i]);
        list->service[i]->name = (char *)reflection->server->services[i]->name;
    }
    list->n_service = count;
    response->message_response_case = GRPC__REFLECTION__V1__SERVER_REFLECTION_RESPONSE__MESSAGE_RESPONSE_LIST_SERVICES_RESPONSE;
    response->list_services_response = list;
}

static const struct symbol *find_symbol(const struct mos_reflection *reflection, const char *name) {
    struct symbol wanted = {.name = name};
    return bsearch(&wanted, reflection->symbols, reflection->symbol_count, sizeof(wanted), compare_symbols);
}

static void answer_extension(const struct mos_reflection *reflection, const Grpc__Reflection__V1__ExtensionRequest *wanted,
                             mos_arena *arena, reflection_response *response) {
    for (size_t i = 0; i < reflection->extension_count; i++) {
        const struct extension *extension = &reflection->extensions[i];
        if (extension->number == wanted->extension_number && strcmp(extension->type, wanted->containing_type) == 0) {
            answer_file(reflection, extension->file, arena, response);
            return;
        }
    }
    answer_error(MOS_NOT_FOUND, "no such extension is known", arena, response);
}

static void answer_extension_numbers(const struct mos_reflection *reflection, const char *type, mos_arena *arena,
                                     reflection_response *response) {
    if (!find_symbol(reflection, type)) {
        answer_error(MOS_NOT_FOUND, "no such type is known", arena, response);
        return;
    }
    Grpc__Reflection__V1__ExtensionNumberResponse *numbers = mos_arena_alloc(arena, sizeof(*numbers));
    grpc__reflection__v1__extension_number_response__init(numbers);
    numbers->base_type_name = (char *)type;
    numbers->extension_number = mos_arena_array(arena, int32_t, reflection->extension_count);
    for (size_t i = 0; i < reflection->extension_count; i++) {
        if (strcmp(reflection->extensions[i].type, type) == 0) {
            numbers->extension_number[numbers->n_extension_number++] = reflection->extensions[i].number;
        }
    }
    response->message_response_case = GRPC__REFLECTION__V1__SERVER_REFLECTION_RESPONSE__MESSAGE_RESPONSE_ALL_EXTENSION_NUMBERS_RESPONSE;
    response->all_extension_numbers_response = numbers;
}

static void answer(const struct mos_reflection *reflection, const reflection_request *request, mos_arena *arena,
                   reflection_response *response) {
    size_t index;
    const struct symbol *symbol;
    switch (request->message_request_case) {
    case GRPC__REFLECTION__V1__SERVER_REFLECTION_REQUEST__MESSAGE_REQUEST_FILE_BY_FILENAME:
        if (find_file(reflection, request->file_by_filename, &index)) {
            answer_file(reflection, index, arena, response);
        } else {
            answer_error(MOS_NOT_FOUND, "no such file is known", arena, response);
        }
        return;
    case GRPC__REFLECTION__V1__SERVER_REFLECTION_REQUEST__MESSAGE_REQUEST_FILE_CONTAINING_SYMBOL:
        symbol = find_symbol(reflection, request->file_containing_symbol);
        if (symbol) {
            answer_file(reflection, symbol->file, arena, response);
        } else {
            answer_error(MOS_NOT_FOUND, "no such symbol is known", arena, response);
        }
        return;
    case GRPC__REFLECTION__V1__SERVER_REFLECTION_REQUEST__MESSAGE_REQUEST_FILE_CONTAINING_EXTENSION:
        answer_extension(reflection, request->file_containing_extension, arena, response);
        return;
    case GRPC__REFLECTION__V1__SERVER_REFLECTION_REQUEST__MESSAGE_REQUEST_ALL_EXTENSION_NUMBERS_OF_TYPE:
        answer_extension_numbers(reflection, request->all_extension_numbers_of_type, arena, response);
        return;
    case GRPC__REFLECTION__V1__SERVER_REFLECTION_REQUEST__MESSAGE_REQUEST_LIST_SERVICES:
        answer_list(reflection, arena, response);
        return;
    default:
        answer_error(MOS_INVALID_ARGUMENT, "the request asks for nothing", arena, response);
    }
}

static mos_status server_reflection_info(struct mos_call *call) {
    const struct mos_reflection *reflection = mos_call_user(call);
    for (;;) {
        const reflection_request *request;
        mos_status status = grpc_reflection_v1_server_reflection_server_reflection_info_receive(call, &request);
        if (status != MOS_OK || !request) {
            return status;
        }
        MOS_CLEANUP_ARENA mos_arena *arena = mos_arena_create(0);
        reflection_response response = GRPC__REFLECTION__V1__SERVER_REFLECTION_RESPONSE__INIT;
        response.valid_host = request->host;
        response.original_request = (reflection_request *)request;
        answer(reflection, request, arena, &response);
        status = grpc_reflection_v1_server_reflection_server_reflection_info_send(call, &response);
        if (status != MOS_OK) {
            return status;
        }
    }
}

static const struct grpc_reflection_v1_server_reflection table = {.server_reflection_info = server_reflection_info};

mos_status mos_rpc_server_add_reflection(mos_rpc_server *server, const uint8_t *descriptor_set, size_t size_bytes,
                                         struct mos_error *error) {
    struct mos_reflection *reflection = mos_calloc(1, sizeof(*reflection));
    reflection->server = server;
    reflection->arena = mos_arena_create(0);
    Google__Protobuf__FileDescriptorSet *set =
        google__protobuf__file_descriptor_set__unpack(mos_arena_allocator(reflection->arena), size_bytes, descriptor_set);
    if (set) {
        reflection->files = mos_arena_array(reflection->arena, struct file, set->n_file);
        reflection->file_count = set->n_file;
    }
    if (!set || !slice_set(reflection, descriptor_set, size_bytes)) {
        mos_reflection_free(reflection);
        return mos_fail(error, MOS_INVALID_ARGUMENT, "the descriptor set for reflection is none");
    }
    for (size_t i = 0; i < reflection->file_count; i++) {
        reflection->files[i].message = set->file[i];
        add_file(reflection, i);
    }
    qsort(reflection->symbols, reflection->symbol_count, sizeof(*reflection->symbols), compare_symbols);
    reflection->alpha = grpc_reflection_v1_server_reflection_descriptor;
    reflection->alpha.name = "grpc.reflection.v1alpha.ServerReflection";
    mos_status status = grpc_reflection_v1_server_reflection_add(server, &table, reflection, error);
    status = status == MOS_OK ? mos_rpc_server_add(server, &reflection->alpha, &table, reflection, error) : status;
    if (server->reflection) {
        // A second one is refused, and the first stays.
        mos_reflection_free(reflection);
        return status;
    }
    server->reflection = reflection;
    return status;
}

void mos_reflection_free(struct mos_reflection *reflection) {
    if (!reflection) {
        return;
    }
    mos_arena_destroy(reflection->arena);
    free(reflection->symbols);
    free(reflection->extensions);
    free(reflection);
}
