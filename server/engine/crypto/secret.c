#include "engine/crypto/secret.h"

#include <openssl/mem.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "common/log.h"

static size_t whole_pages(size_t size_bytes) {
    size_t page = (size_t)sysconf(_SC_PAGESIZE);
    return (size_bytes + page - 1) / page * page;
}

void *mos_secret_alloc(size_t size_bytes) {
    size_t length = whole_pages(size_bytes ? size_bytes : 1);
    void *memory = mmap(NULL, length, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (memory == MAP_FAILED) {
        mos_log_error("out of memory", MOS_NUMBER("bytes", length));
        abort();
    }
    // Both are hardening: a low RLIMIT_MEMLOCK must not stop a backup.
    (void)mlock(memory, length);
    (void)madvise(memory, length, MADV_DONTDUMP);
    return memory;
}

void mos_secret_free(void *memory, size_t size_bytes) {
    if (memory) {
        OPENSSL_cleanse(memory, size_bytes);
        munmap(memory, whole_pages(size_bytes ? size_bytes : 1));
    }
}

void mos_wipe(void *memory, size_t size_bytes) {
    if (memory) {
        OPENSSL_cleanse(memory, size_bytes);
    }
}

bool mos_secret_equal(const void *a, const void *b, size_t size_bytes) {
    return CRYPTO_memcmp(a, b, size_bytes) == 0;
}

void mos_key_wipe(struct mos_key *key) {
    OPENSSL_cleanse(key, sizeof(*key));
}
