#include "common/id.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/random.h>

#include "common/clock.h"
#include "common/log.h"

static const char hex[] = "0123456789abcdef";

void mos_random(void *out, size_t size_bytes) {
    unsigned char *next = out;
    while (size_bytes > 0) {
        ssize_t got = getrandom(next, size_bytes, 0);
        if (got < 0 && errno != EINTR) {
            mos_log_error("no random numbers from the kernel", MOS_NUMBER("errno", errno));
            abort();
        }
        if (got > 0) {
            next += got;
            size_bytes -= (size_t)got;
        }
    }
}

void mos_hex_encode(const uint8_t *data, size_t size_bytes, char *text) {
    for (size_t i = 0; i < size_bytes; i++) {
        text[2 * i] = hex[data[i] >> 4];
        text[2 * i + 1] = hex[data[i] & 15];
    }
    text[2 * size_bytes] = 0;
}

static int hex_value(char c) {
    if (c >= '0' && c <= '9') {
        return c - '0';
    }
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

bool mos_hex_decode(const char *text, uint8_t *out, size_t size_bytes) {
    for (size_t i = 0; i < size_bytes; i++) {
        int high = hex_value(text[2 * i]);
        int low = high < 0 ? -1 : hex_value(text[2 * i + 1]);
        if (low < 0) {
            return false;
        }
        out[i] = (uint8_t)(high << 4 | low);
    }
    return text[2 * size_bytes] == 0;
}

// Version 7 by method 1 of RFC 9562, section 6.2: the 12 bits behind the milliseconds count up within one millisecond, and where they
// run over, or the clock goes back, the time is taken to be one millisecond after the last.
void mos_id_new(char text[MOS_ID_TEXT_BYTES]) {
    static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
    static int64_t last_ms;
    static unsigned counter;

    uint8_t bytes[16];
    mos_random(bytes, sizeof(bytes));
    int64_t ms = mos_now_unix_ns() / MOS_NS_PER_MS;
    pthread_mutex_lock(&mutex);
    if (ms > last_ms) {
        last_ms = ms;
        counter = bytes[7]; // starts low, so that there is room to count
    } else if (++counter > 0xfff) {
        last_ms++;
        counter = bytes[7];
    }
    ms = last_ms;
    unsigned count = counter;
    pthread_mutex_unlock(&mutex);

    for (int i = 0; i < 6; i++) {
        bytes[i] = (uint8_t)(ms >> (40 - 8 * i));
    }
    bytes[6] = (uint8_t)(0x70 | count >> 8);
    bytes[7] = (uint8_t)count;
    bytes[8] = (uint8_t)(0x80 | (bytes[8] & 0x3f));
    mos_id_format(bytes, text);
}

void mos_id_format(const uint8_t bytes[16], char text[MOS_ID_TEXT_BYTES]) {
    char *next = text;
    for (int i = 0; i < 16; i++) {
        if (i == 4 || i == 6 || i == 8 || i == 10) {
            *next++ = '-';
        }
        *next++ = hex[bytes[i] >> 4];
        *next++ = hex[bytes[i] & 15];
    }
    *next = 0;
}

bool mos_id_parse(const char *text, uint8_t out_bytes[16]) {
    for (int i = 0; i < 16; i++) {
        if (i == 4 || i == 6 || i == 8 || i == 10) {
            if (*text++ != '-') {
                return false;
            }
        }
        int high = hex_value(text[0]);
        int low = high < 0 ? -1 : hex_value(text[1]);
        if (low < 0) {
            return false;
        }
        out_bytes[i] = (uint8_t)(high << 4 | low);
        text += 2;
    }
    return *text == 0;
}

bool mos_id_valid(const char *text) {
    uint8_t bytes[16];
    return mos_id_parse(text, bytes);
}
