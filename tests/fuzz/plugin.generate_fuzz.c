#include <stdlib.h>

#include <google/protobuf/compiler/plugin.pb-c.h>

#include "plugin/generate.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    MOS_CLEANUP_BUFFER struct mos_buffer out = MOS_BUFFER_INIT(0);
    if (mos_plugin_generate(data, size, &out, NULL) == MOS_OK) {
        Google__Protobuf__Compiler__CodeGeneratorResponse *response =
            google__protobuf__compiler__code_generator_response__unpack(NULL, out.size_bytes, out.data);
        if (!response || (response->error && response->n_file > 0)) {
            abort();
        }
        google__protobuf__compiler__code_generator_response__free_unpacked(response, NULL);
    }
    return 0;
}
