#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "plugin/generate.h"

int main(int argc, char **argv) {
    if (argc > 1) {
        int known = strcmp(argv[1], "--version") == 0;
        fprintf(known ? stdout : stderr, "protoc-gen-mosaajii-grpc %s, a plugin of protoc: --mosaajii-grpc_out=server:DIR or client:DIR\n",
                MOSAAJII_VERSION);
        return known ? 0 : 2;
    }
    MOS_CLEANUP_BUFFER struct mos_buffer request = MOS_BUFFER_INIT(0);
    uint8_t chunk[65536];
    ssize_t count;
    while ((count = read(STDIN_FILENO, chunk, sizeof(chunk))) > 0) {
        mos_buffer_append(&request, chunk, (size_t)count);
    }
    if (count < 0) {
        perror("protoc-gen-mosaajii-grpc: standard input");
        return 1;
    }
    MOS_CLEANUP_BUFFER struct mos_buffer response = MOS_BUFFER_INIT(0);
    struct mos_error error = {0};
    if (mos_plugin_generate(request.data, request.size_bytes, &response, &error) != MOS_OK) {
        fprintf(stderr, "protoc-gen-mosaajii-grpc: %s\n", error.message);
        return 1;
    }
    if (fwrite(response.data, 1, response.size_bytes, stdout) != response.size_bytes || fflush(stdout) != 0) {
        perror("protoc-gen-mosaajii-grpc: standard output");
        return 1;
    }
    return 0;
}
