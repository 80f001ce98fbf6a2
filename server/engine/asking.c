#include "engine/asking.h"

#include <pthread.h>
#include <string.h>

#include "common/framing.h"
#include "engine/crypto/secret.h"

// One question at a time.
static struct {
    pthread_mutex_t asking;
    pthread_mutex_t mutex;
    pthread_cond_t answered;
    mos_arena *arena;
    Mosaajii__Engine__V1__KeyAnswer *answer;
    bool over;
    mos_job *job;
} state = {.asking = PTHREAD_MUTEX_INITIALIZER, .mutex = PTHREAD_MUTEX_INITIALIZER, .answered = PTHREAD_COND_INITIALIZER};

static mos_status take_answer(const Mosaajii__Engine__V1__KeyAnswer *answer, struct mos_buffer *out, struct mos_error *error) {
    mos_status status = mos_status_from_name(answer->status);
    if (status != MOS_OK) {
        return mos_fail(error, status, "%s", answer->message);
    }
    mos_buffer_append(out, answer->data.data, answer->data.len);
    return MOS_OK;
}

// With the mutex held. It may be a key.
static void forget_answer(void) {
    if (state.answer) {
        mos_wipe(state.answer->data.data, state.answer->data.len);
    }
    mos_arena_destroy(state.arena);
    state.arena = NULL;
    state.answer = NULL;
}

static mos_status ask(const char *reference, bool unwrap, const uint8_t *data, size_t size_bytes, struct mos_buffer *out,
                      struct mos_error *error) {
    Mosaajii__Engine__V1__KeyRequest request = MOSAAJII__ENGINE__V1__KEY_REQUEST__INIT;
    Mosaajii__Engine__V1__Event event = MOSAAJII__ENGINE__V1__EVENT__INIT;
    request.key_reference = (char *)reference;
    request.unwrap = unwrap;
    request.data = (ProtobufCBinaryData){.data = (uint8_t *)data, .len = size_bytes};
    event.event_case = MOSAAJII__ENGINE__V1__EVENT__EVENT_KEY;
    event.key = &request;
    pthread_mutex_lock(&state.asking);
    mos_job_send(state.job, &event);
    pthread_mutex_lock(&state.mutex);
    while (!state.answer && !state.over) {
        pthread_cond_wait(&state.answered, &state.mutex);
    }
    mos_status status = state.answer ? take_answer(state.answer, out, error) : mos_fail(error, MOS_CANCELLED, "cancelled");
    forget_answer();
    pthread_mutex_unlock(&state.mutex);
    pthread_mutex_unlock(&state.asking);
    return status;
}

static mos_status wrap(void *context, const char *reference, const uint8_t *plain, size_t plain_bytes, struct mos_buffer *out,
                       struct mos_error *error) {
    (void)context;
    return ask(reference, false, plain, plain_bytes, out, error);
}

static mos_status unwrap(void *context, const char *reference, const uint8_t *wrapped, size_t wrapped_bytes, struct mos_buffer *out,
                         struct mos_error *error) {
    (void)context;
    return ask(reference, true, wrapped, wrapped_bytes, out, error);
}

void mos_asking_begin(mos_job *job) {
    static const struct mos_key_service service = {wrap, unwrap, NULL};
    state.job = job;
    mos_job_set_key_service(job, &service);
}

bool mos_asking_take(int descriptor) {
    mos_arena *arena = mos_arena_create(0);
    ProtobufCMessage *message = NULL;
    if (mos_frame_receive(descriptor, &mosaajii__engine__v1__key_answer__descriptor, arena, &message, NULL) != MOS_OK) {
        mos_arena_destroy(arena);
        return false;
    }
    pthread_mutex_lock(&state.mutex);
    // One that nobody waits for is thrown away with the next.
    forget_answer();
    state.arena = arena;
    state.answer = (Mosaajii__Engine__V1__KeyAnswer *)message;
    pthread_cond_signal(&state.answered);
    pthread_mutex_unlock(&state.mutex);
    return true;
}

void mos_asking_over(void) {
    pthread_mutex_lock(&state.mutex);
    state.over = true;
    pthread_cond_broadcast(&state.answered);
    pthread_mutex_unlock(&state.mutex);
}
