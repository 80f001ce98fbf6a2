// One mail over SMTP. The connection is encrypted and its certificate checked, or nothing is sent.
#include <curl/curl.h>
#include <pthread.h>
#include <sodium.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "common/buffer.h"
#include "common/clock.h"
#include "control/alert/delivery_internal.h"

enum { LINE_BYTES = 76, LONGEST_ADDRESS = 254, SUBJECT_PART_BYTES = 42 };

bool mos_mail_address_valid(const char *address) {
    size_t length = strlen(address);
    const char *at = strchr(address, '@');
    if (!at || at == address || !at[1] || strchr(at + 1, '@') || length > LONGEST_ADDRESS) {
        return false;
    }
    for (const char *c = address; *c; c++) {
        if (*c <= ' ' || *c > '~' || strchr(",;<>()[]\\\"", *c)) {
            return false;
        }
    }
    return true;
}

static void append_base64(struct mos_buffer *out, const char *data, size_t size_bytes) {
    size_t length = sodium_base64_encoded_len(size_bytes, sodium_base64_VARIANT_ORIGINAL);
    mos_buffer_reserve(out, length);
    sodium_bin2base64((char *)out->data + out->size_bytes, length, (const uint8_t *)data, size_bytes, sodium_base64_VARIANT_ORIGINAL);
    out->size_bytes += length - 1;
}

// As encoded words (RFC 2047), so that neither its letters nor a line end in it can become another header; cut between characters.
static void append_subject(struct mos_buffer *out, const char *subject) {
    mos_buffer_append_text(out, "Subject:");
    size_t left = strlen(subject);
    do {
        size_t part = left < SUBJECT_PART_BYTES ? left : SUBJECT_PART_BYTES;
        while (part < left && part > 0 && (subject[part] & 0xc0) == 0x80) {
            part--;
        }
        part = part == 0 && left > 0 ? left : part;
        mos_buffer_append_text(out, " =?UTF-8?B?");
        append_base64(out, subject, part);
        mos_buffer_append_text(out, "?=\r\n");
        subject += part;
        left -= part;
    } while (left > 0);
}

static void append_body(struct mos_buffer *out, const char *body) {
    enum { RAW_BYTES = LINE_BYTES / 4 * 3 };
    size_t length = strlen(body);
    for (size_t i = 0; i < length; i += RAW_BYTES) {
        append_base64(out, body + i, length - i < RAW_BYTES ? length - i : RAW_BYTES);
        mos_buffer_append_text(out, "\r\n");
    }
}

static void write_letter(const struct mos_delivery_options *options, const struct mos_letter *letter, struct mos_buffer *out) {
    char date[64];
    struct tm parts;
    time_t now = (time_t)(mos_now_unix_ns() / MOS_NS_PER_SECOND);
    gmtime_r(&now, &parts);
    strftime(date, sizeof(date), "%a, %d %b %Y %H:%M:%S +0000", &parts);
    mos_buffer_printf(out, "Date: %s\r\nFrom: Mosaajii Backup <%s>\r\nTo: <%s>\r\n", date, options->from, letter->address);
    // The same each time one message is tried again, so that a mail program shows it once. Auto-Submitted keeps answering machines quiet.
    mos_buffer_printf(out, "Message-ID: <%s%s>\r\nAuto-Submitted: auto-generated\r\n", letter->id, strchr(options->from, '@'));
    append_subject(out, letter->subject);
    mos_buffer_append_text(out,
                           "MIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: base64\r\n\r\n");
    append_body(out, letter->body);
}

struct reading {
    const struct mos_buffer *letter;
    size_t at;
};

static size_t give(char *data, size_t size, size_t count, void *argument) {
    struct reading *reading = argument;
    size_t left = reading->letter->size_bytes - reading->at;
    size_t part = left < size * count ? left : size * count;
    memcpy(data, reading->letter->data + reading->at, part);
    reading->at += part;
    return part;
}

static mos_status judge(CURLcode code, long answer, const char *reason, struct mos_error *error) {
    switch (code) {
    case CURLE_OK:
        return MOS_OK;
    case CURLE_LOGIN_DENIED:
        return mos_fail(error, MOS_PERMISSION_DENIED, "the mail server refuses the login");
    case CURLE_USE_SSL_FAILED:
        return mos_fail(error, MOS_FAILED_PRECONDITION, "the mail server offers no TLS, and without it nothing is sent");
    case CURLE_PEER_FAILED_VERIFICATION:
        return mos_fail(error, MOS_FAILED_PRECONDITION, "the mail server's certificate cannot be trusted: %s", reason);
    default:
        // 5xx is for good (RFC 5321), 4xx and a line that breaks are not.
        return answer >= 500 && answer < 600 ? mos_fail(error, MOS_INVALID_ARGUMENT, "the mail server answers %ld", answer)
                                             : mos_fail(error, MOS_UNAVAILABLE, "the mail server does not take the mail: %s",
                                                        *reason ? reason : curl_easy_strerror(code));
    }
}

mos_status mos_mail_send(const struct mos_delivery_options *options, const struct mos_letter *letter, struct mos_error *error) {
    if (!*options->smtp_host) {
        return mos_fail(error, MOS_FAILED_PRECONDITION, "SMTP_HOST is not set");
    }
    mos_curl_start();
    CURL *curl = curl_easy_init();
    if (!curl) {
        return mos_fail(error, MOS_INTERNAL, "libcurl does not start");
    }
    MOS_CLEANUP_BUFFER struct mos_buffer url = MOS_BUFFER_INIT(0);
    MOS_CLEANUP_BUFFER struct mos_buffer from = MOS_BUFFER_INIT(0);
    MOS_CLEANUP_BUFFER struct mos_buffer to = MOS_BUFFER_INIT(0);
    MOS_CLEANUP_BUFFER struct mos_buffer text = MOS_BUFFER_INIT(0);
    char reason[CURL_ERROR_SIZE] = "";
    bool tls = strcmp(options->smtp_tls, "TLS") == 0;
    bool none = strcmp(options->smtp_tls, "NONE") == 0;
    bool bare_six = strchr(options->smtp_host, ':') && options->smtp_host[0] != '[';
    mos_buffer_printf(&url, "%s://%s%s%s:%d", tls ? "smtps" : "smtp", bare_six ? "[" : "", options->smtp_host, bare_six ? "]" : "",
                      options->smtp_port);
    mos_buffer_printf(&from, "<%s>", options->from);
    mos_buffer_printf(&to, "<%s>", letter->address);
    write_letter(options, letter, &text);
    struct reading reading = {&text, 0};
    struct mos_transfer_guard guard = {.stopping = letter->stopping};
    struct curl_slist *receivers = curl_slist_append(NULL, mos_buffer_text(&to));
    curl_easy_setopt(curl, CURLOPT_URL, mos_buffer_text(&url));
    curl_easy_setopt(curl, CURLOPT_PROTOCOLS_STR, "smtp,smtps");
    curl_easy_setopt(curl, CURLOPT_USE_SSL, (long)(none ? CURLUSESSL_NONE : CURLUSESSL_ALL));
    curl_easy_setopt(curl, CURLOPT_MAIL_FROM, mos_buffer_text(&from));
    curl_easy_setopt(curl, CURLOPT_MAIL_RCPT, receivers);
    curl_easy_setopt(curl, CURLOPT_UPLOAD, 1L);
    curl_easy_setopt(curl, CURLOPT_READFUNCTION, give);
    curl_easy_setopt(curl, CURLOPT_READDATA, &reading);
    mos_transfer_guard(curl, options, &guard);
    curl_easy_setopt(curl, CURLOPT_ERRORBUFFER, reason);
    if (*options->ca_file) {
        curl_easy_setopt(curl, CURLOPT_CAINFO, options->ca_file);
    }
    if (*options->smtp_user) {
        curl_easy_setopt(curl, CURLOPT_USERNAME, options->smtp_user);
        curl_easy_setopt(curl, CURLOPT_PASSWORD, options->smtp_password);
    }
    CURLcode code = curl_easy_perform(curl);
    long answer = 0;
    curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, &answer);
    mos_status status = judge(code, answer, reason, error);
    curl_easy_cleanup(curl);
    curl_slist_free_all(receivers);
    return status;
}
