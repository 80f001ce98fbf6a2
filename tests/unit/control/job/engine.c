// An engine that does what a script says, so that the tests of jobs can have one that hangs, lies or dies. It takes its request as the
// real one does, appends it to the file `calls` of the repository, and follows the script named after the operation, line by line:
//
//   progress PHASE FILES BYTES TOTAL   warning PATH TEXT        entries COUNT MORE      record ID [ERROR]
//   committed [ID]                     verification C E S TEXT  restoration FAILED      deletion BYTES [PENDING]
//   pruning BYTES                      checking VALID TEXT
//   repository                         result STATUS WARNINGS TEXT
//   bytes HEX     writes them as they are      flood    warns until nobody reads
//   gate NAME     waits for the test           deaf     ignores SIGTERM and the end of the stream from here on
//   signal N      ends by it                   exit N   ends
//   tidy MS NAME  waits for the end of the stream, deaf or not, works so long on, and makes the file
//   linger        waits for the end of the stream, or for ever where it is deaf
//
// Without a script it opens the repository, knows no backup and refuses the rest.
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <mosaajii/engine/v1/engine.pb-c.h>

#include "common/buffer.h"
#include "common/framing.h"
#include "common/id.h"

enum { SOCKET = 3 };

typedef Mosaajii__Engine__V1__Request engine_request;
typedef Mosaajii__Engine__V1__Event engine_event;
typedef Mosaajii__Engine__V1__Result engine_result;
typedef Mosaajii__Engine__V1__BackupInfo backup_info;
typedef Mosaajii__Engine__V1__BackupRecord backup_record;

static bool deaf;

static void send_event(engine_event *event) {
    if (mos_frame_send(SOCKET, &event->base, NULL) != MOS_OK && !deaf) {
        exit(3);
    }
}

static void send_result(engine_result *result) {
    engine_event event = MOSAAJII__ENGINE__V1__EVENT__INIT;
    event.event_case = MOSAAJII__ENGINE__V1__EVENT__EVENT_RESULT;
    event.result = result;
    send_event(&event);
}

static const char *operation_of(const engine_request *request, const char **out_backup_id) {
    *out_backup_id = "";
    switch (request->operation_case) {
    case MOSAAJII__ENGINE__V1__REQUEST__OPERATION_BACKUP:
        *out_backup_id = request->backup->info->id;
        return "backup";
    case MOSAAJII__ENGINE__V1__REQUEST__OPERATION_VERIFY:
        *out_backup_id = request->verify->backup_id;
        return "verify";
    case MOSAAJII__ENGINE__V1__REQUEST__OPERATION_RESTORE:
        *out_backup_id = request->restore->backup_id;
        return "restore";
    case MOSAAJII__ENGINE__V1__REQUEST__OPERATION_DELETE:
        *out_backup_id = request->delete_->backup_id;
        return "delete";
    case MOSAAJII__ENGINE__V1__REQUEST__OPERATION_PRUNE:
        return "prune";
    case MOSAAJII__ENGINE__V1__REQUEST__OPERATION_CHECK:
        return "check";
    case MOSAAJII__ENGINE__V1__REQUEST__OPERATION_LIST:
        *out_backup_id = request->list->backup_id;
        return "list";
    case MOSAAJII__ENGINE__V1__REQUEST__OPERATION_INVENTORY:
        *out_backup_id = request->inventory->backup_id;
        return "inventory";
    case MOSAAJII__ENGINE__V1__REQUEST__OPERATION_INIT:
        return "init";
    case MOSAAJII__ENGINE__V1__REQUEST__OPERATION_REWRAP:
        return "rewrap";
    default:
        return "unknown";
    }
}

static void note_call(const engine_request *request, const char *operation, const char *backup_id) {
    MOS_CLEANUP_BUFFER struct mos_buffer path = MOS_BUFFER_INIT(0);
    MOS_CLEANUP_BUFFER struct mos_buffer line = MOS_BUFFER_INIT(0);
    mos_buffer_printf(&path, "%s/calls", request->repository);
    mos_buffer_printf(&line, "%s %s\n", operation, backup_id);
    int descriptor = open(mos_buffer_text(&path), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    if (descriptor < 0 || write(descriptor, line.data, line.size_bytes) != (ssize_t)line.size_bytes) {
        exit(9);
    }
    close(descriptor);
}

// ---- What it says ----

static void progress(const char *arguments) {
    Mosaajii__Engine__V1__Progress message = MOSAAJII__ENGINE__V1__PROGRESS__INIT;
    engine_event event = MOSAAJII__ENGINE__V1__EVENT__INIT;
    char phase[512] = "";
    long long files = 0, bytes = 0, total = 0;
    sscanf(arguments, "%511s %lld %lld %lld", phase, &files, &bytes, &total);
    message.phase = phase;
    message.files_done = files;
    message.bytes_done = bytes;
    message.bytes_total = total;
    message.current = (ProtobufCBinaryData){.data = (uint8_t *)"/srv/\xff", .len = 6};
    event.event_case = MOSAAJII__ENGINE__V1__EVENT__EVENT_PROGRESS;
    event.progress = &message;
    send_event(&event);
}

static void warning(const char *path, size_t path_bytes, const char *text) {
    Mosaajii__Engine__V1__Warning message = MOSAAJII__ENGINE__V1__WARNING__INIT;
    engine_event event = MOSAAJII__ENGINE__V1__EVENT__INIT;
    message.path = (ProtobufCBinaryData){.data = (uint8_t *)path, .len = path_bytes};
    message.message = (char *)text;
    event.event_case = MOSAAJII__ENGINE__V1__EVENT__EVENT_WARNING;
    event.warning = &message;
    send_event(&event);
}

static void make_record(const char *id, backup_info *info, backup_record *record) {
    mosaajii__engine__v1__backup_info__init(info);
    mosaajii__engine__v1__backup_record__init(record);
    static Mosaajii__Engine__V1__Statistics statistics = MOSAAJII__ENGINE__V1__STATISTICS__INIT;
    statistics.size = 1000;
    statistics.encrypted_size = 400;
    statistics.files = 3;
    info->id = (char *)id;
    info->name = (char *)"found again";
    info->type = (char *)"FILES";
    info->created_at_unix_ns = INT64_C(1700000000000000000);
    info->completed_at_unix_ns = INT64_C(1700000001000000000);
    info->retention_days = 7;
    info->statistics = &statistics;
    record->info = info;
    record->key_id = (char *)"local/1";
    record->checksum = (char *)"aa";
    record->encrypted_checksum = (char *)"bb";
    record->manifest = (char *)"backups/x";
}

static void record(const char *arguments) {
    char id[64] = "";
    int length = 0;
    sscanf(arguments, "%63s %n", id, &length);
    backup_info info;
    backup_record message;
    make_record(id, &info, &message);
    message.error = (char *)arguments + length;
    engine_event event = MOSAAJII__ENGINE__V1__EVENT__INIT;
    event.event_case = MOSAAJII__ENGINE__V1__EVENT__EVENT_BACKUP;
    event.backup = &message;
    send_event(&event);
}

static void committed(const char *id) {
    backup_info info;
    backup_record message;
    engine_result result = MOSAAJII__ENGINE__V1__RESULT__INIT;
    make_record(id, &info, &message);
    result.status = (char *)"OK";
    result.result_case = MOSAAJII__ENGINE__V1__RESULT__RESULT_BACKUP;
    result.backup = &message;
    send_result(&result);
}

static void verification(const char *arguments) {
    Mosaajii__Engine__V1__Verification message = MOSAAJII__ENGINE__V1__VERIFICATION__INIT;
    engine_result result = MOSAAJII__ENGINE__V1__RESULT__INIT;
    int checksum = 0, encryption = 0, size = 0, length = 0;
    sscanf(arguments, "%d %d %d %n", &checksum, &encryption, &size, &length);
    char *errors[] = {(char *)arguments + length};
    message.checksum_valid = checksum;
    message.encryption_valid = encryption;
    message.size_valid = size;
    message.errors = errors;
    message.n_errors = *errors[0] ? 1 : 0;
    message.error_count = (int64_t)message.n_errors;
    result.status = (char *)"OK";
    result.result_case = MOSAAJII__ENGINE__V1__RESULT__RESULT_VERIFICATION;
    result.verification = &message;
    send_result(&result);
}

static void restoration(const char *arguments) {
    Mosaajii__Engine__V1__Restoration message = MOSAAJII__ENGINE__V1__RESTORATION__INIT;
    engine_result result = MOSAAJII__ENGINE__V1__RESULT__INIT;
    message.files_failed = atoll(arguments);
    result.status = (char *)"OK";
    result.result_case = MOSAAJII__ENGINE__V1__RESULT__RESULT_RESTORATION;
    result.restoration = &message;
    send_result(&result);
}

static void deletion(const char *arguments) {
    Mosaajii__Engine__V1__Deletion message = MOSAAJII__ENGINE__V1__DELETION__INIT;
    engine_result result = MOSAAJII__ENGINE__V1__RESULT__INIT;
    long long freed = 0, pending = 0;
    sscanf(arguments, "%lld %lld", &freed, &pending);
    message.bytes_freed = freed;
    message.bytes_pending = pending;
    result.status = (char *)"OK";
    result.result_case = MOSAAJII__ENGINE__V1__RESULT__RESULT_DELETION;
    result.deletion = &message;
    send_result(&result);
}

static void pruning(const char *arguments) {
    Mosaajii__Engine__V1__PruneResult message = MOSAAJII__ENGINE__V1__PRUNE_RESULT__INIT;
    engine_result result = MOSAAJII__ENGINE__V1__RESULT__INIT;
    message.bytes_freed = atoll(arguments);
    result.status = (char *)"OK";
    result.result_case = MOSAAJII__ENGINE__V1__RESULT__RESULT_PRUNE;
    result.prune = &message;
    send_result(&result);
}

static void checking(const char *arguments) {
    Mosaajii__Engine__V1__CheckResult message = MOSAAJII__ENGINE__V1__CHECK_RESULT__INIT;
    engine_result result = MOSAAJII__ENGINE__V1__RESULT__INIT;
    char *errors[] = {(char *)arguments + 2};
    message.valid = arguments[0] == '1';
    message.errors = errors;
    message.n_errors = message.valid ? 0 : 1;
    message.error_count = (int64_t)message.n_errors;
    result.status = (char *)"OK";
    result.result_case = MOSAAJII__ENGINE__V1__RESULT__RESULT_CHECK;
    result.check = &message;
    send_result(&result);
}

static void repository(void) {
    Mosaajii__Engine__V1__Repository message = MOSAAJII__ENGINE__V1__REPOSITORY__INIT;
    engine_result result = MOSAAJII__ENGINE__V1__RESULT__INIT;
    message.id = (char *)"0123";
    message.format_version = 1;
    message.key_version = 1;
    message.created = true;
    result.status = (char *)"OK";
    result.result_case = MOSAAJII__ENGINE__V1__RESULT__RESULT_REPOSITORY;
    result.repository = &message;
    send_result(&result);
}

static void plain_result(const char *arguments) {
    engine_result result = MOSAAJII__ENGINE__V1__RESULT__INIT;
    char status[64] = "";
    int length = 0;
    long long warnings = 0;
    sscanf(arguments, "%63s %lld %n", status, &warnings, &length);
    result.status = status;
    result.warnings = warnings;
    result.message = (char *)arguments + length;
    send_result(&result);
}

static void entries(const char *arguments) {
    Mosaajii__Engine__V1__Entries message = MOSAAJII__ENGINE__V1__ENTRIES__INIT;
    engine_event event = MOSAAJII__ENGINE__V1__EVENT__INIT;
    size_t count = 0;
    int more = 0;
    sscanf(arguments, "%zu %d", &count, &more);
    MOS_CLEANUP_FREE Mosaajii__Engine__V1__Entry *all = mos_calloc(count + 1, sizeof(*all));
    MOS_CLEANUP_FREE Mosaajii__Engine__V1__Entry **pointers = mos_calloc(count + 1, sizeof(*pointers));
    for (size_t i = 0; i < count; i++) {
        mosaajii__engine__v1__entry__init(&all[i]);
        all[i].path = (ProtobufCBinaryData){.data = (uint8_t *)"/srv/a", .len = 6};
        pointers[i] = &all[i];
    }
    message.entries = pointers;
    message.n_entries = count;
    message.more = more != 0;
    event.event_case = MOSAAJII__ENGINE__V1__EVENT__EVENT_ENTRIES;
    event.entries = &message;
    send_event(&event);
}

static void bytes(const char *hex) {
    uint8_t data[256];
    size_t size_bytes = strlen(hex) / 2;
    if (size_bytes > sizeof(data) || !mos_hex_decode(hex, data, size_bytes) ||
        send(SOCKET, data, size_bytes, MSG_NOSIGNAL) != (ssize_t)size_bytes) {
        exit(9);
    }
}

// ---- What it does ----

static void wait_at_gate(const engine_request *request, const char *name) {
    MOS_CLEANUP_BUFFER struct mos_buffer path = MOS_BUFFER_INIT(0);
    mos_buffer_printf(&path, "%s/%s", request->repository, name);
    int descriptor = open(mos_buffer_text(&path), O_RDONLY | O_CLOEXEC);
    char byte;
    if (descriptor < 0 || read(descriptor, &byte, 1) != 0) {
        exit(9);
    }
    close(descriptor);
}

static void linger(void) {
    char byte;
    while (recv(SOCKET, &byte, 1, 0) > 0 || errno == EINTR) {
    }
    while (deaf) {
        pause();
    }
}

static void tidy(const engine_request *request, const char *arguments) {
    MOS_CLEANUP_BUFFER struct mos_buffer path = MOS_BUFFER_INIT(0);
    char name[64];
    int ms = 0;
    deaf = false;
    linger();
    sscanf(arguments, "%d %63s", &ms, name);
    poll(NULL, 0, ms);
    mos_buffer_printf(&path, "%s/%s", request->repository, name);
    fclose(fopen(mos_buffer_text(&path), "we"));
}

static void obey(const engine_request *request, const char *backup_id, const char *word, const char *arguments) {
    if (strcmp(word, "progress") == 0) {
        progress(arguments);
    } else if (strcmp(word, "warning") == 0) {
        size_t path_bytes = strcspn(arguments, " ");
        warning(arguments, path_bytes, arguments + path_bytes + (arguments[path_bytes] == ' '));
    } else if (strcmp(word, "entries") == 0) {
        entries(arguments);
    } else if (strcmp(word, "record") == 0) {
        record(arguments);
    } else if (strcmp(word, "committed") == 0) {
        committed(*arguments ? arguments : backup_id);
    } else if (strcmp(word, "verification") == 0) {
        verification(arguments);
    } else if (strcmp(word, "restoration") == 0) {
        restoration(arguments);
    } else if (strcmp(word, "deletion") == 0) {
        deletion(arguments);
    } else if (strcmp(word, "pruning") == 0) {
        pruning(arguments);
    } else if (strcmp(word, "checking") == 0) {
        checking(arguments);
    } else if (strcmp(word, "repository") == 0) {
        repository();
    } else if (strcmp(word, "result") == 0) {
        plain_result(arguments);
    } else if (strcmp(word, "bytes") == 0) {
        bytes(arguments);
    } else if (strcmp(word, "flood") == 0) {
        for (;;) {
            warning("/srv/a", 6, "it changed while it was read");
        }
    } else if (strcmp(word, "gate") == 0) {
        wait_at_gate(request, arguments);
    } else if (strcmp(word, "deaf") == 0) {
        deaf = true;
        signal(SIGTERM, SIG_IGN);
    } else if (strcmp(word, "tidy") == 0) {
        tidy(request, arguments);
    } else if (strcmp(word, "linger") == 0) {
        linger();
    } else if (strcmp(word, "signal") == 0) {
        // A sanitizer has a handler of its own for some.
        signal(atoi(arguments), SIG_DFL);
        raise(atoi(arguments));
    } else if (strcmp(word, "exit") == 0) {
        exit(atoi(arguments));
    } else {
        fprintf(stderr, "the script has an unknown word: %s\n", word);
        exit(9);
    }
}

int main(void) {
    MOS_CLEANUP_ARENA mos_arena *arena = mos_arena_create(0);
    ProtobufCMessage *message = NULL;
    if (mos_frame_receive(SOCKET, &mosaajii__engine__v1__request__descriptor, arena, &message, NULL) != MOS_OK) {
        return 8;
    }
    const engine_request *request = (const engine_request *)message;
    const char *backup_id;
    const char *operation = operation_of(request, &backup_id);
    note_call(request, operation, backup_id);
    FILE *script = fopen(mos_arena_printf(arena, "%s/%s", request->repository, operation), "re");
    if (!script) {
        if (request->operation_case == MOSAAJII__ENGINE__V1__REQUEST__OPERATION_INIT) {
            repository();
        } else if (request->operation_case == MOSAAJII__ENGINE__V1__REQUEST__OPERATION_INVENTORY) {
            plain_result("OK 0 ");
        } else {
            plain_result("UNIMPLEMENTED 0 there is no script for this");
        }
        return 0;
    }
    char line[4096];
    while (fgets(line, sizeof(line), script)) {
        line[strcspn(line, "\n")] = 0;
        size_t length = strcspn(line, " ");
        const char *arguments = line + length + (line[length] == ' ');
        line[length] = 0;
        obey(request, backup_id, line, arguments);
    }
    fclose(script);
    return 0;
}
