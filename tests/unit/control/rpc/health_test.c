#include "unit/control/rpc/echo.h"
#include "unit/test.h"

#include <grpc/health/v1/health.pb-c.h>
#include <string.h>

typedef Grpc__Health__V1__HealthCheckResponse health_response;
enum {
    SERVING = GRPC__HEALTH__V1__HEALTH_CHECK_RESPONSE__SERVING_STATUS__SERVING,
    NOT_SERVING = GRPC__HEALTH__V1__HEALTH_CHECK_RESPONSE__SERVING_STATUS__NOT_SERVING,
    SERVICE_UNKNOWN = GRPC__HEALTH__V1__HEALTH_CHECK_RESPONSE__SERVING_STATUS__SERVICE_UNKNOWN
};

static const struct mos_rpc_call_options minute = {.timeout_ms = 60000};
static const char echo_name[] = "mosaajii.rpc.test.v1.EchoService";

static void add_health(struct echo *echo) {
    MOS_ASSERT_OK(mos_rpc_server_add_health(echo->server, &echo->error), &echo->error);
}

// The serving status, or minus the call's.
static int check(struct echo *echo, const char *service) {
    Grpc__Health__V1__HealthCheckRequest request = GRPC__HEALTH__V1__HEALTH_CHECK_REQUEST__INIT;
    request.service = (char *)service;
    ProtobufCMessage *response;
    mos_status status = mos_rpc_unary(echo->channel, "/grpc.health.v1.Health/Check", &minute, &request.base,
                                      &grpc__health__v1__health_check_response__descriptor, echo->arena, &response, &echo->error);
    return status == MOS_OK ? (int)((health_response *)response)->status : -(int)status;
}

static mos_rpc_stream *watch(struct echo *echo, const char *service) {
    Grpc__Health__V1__HealthCheckRequest request = GRPC__HEALTH__V1__HEALTH_CHECK_REQUEST__INIT;
    request.service = (char *)service;
    mos_rpc_stream *stream;
    MOS_ASSERT_OK(mos_rpc_stream_open(echo->channel, "/grpc.health.v1.Health/Watch", &minute, &request.base,
                                      &grpc__health__v1__health_check_response__descriptor, &stream, &echo->error),
                  &echo->error);
    return stream;
}

static int next(struct echo *echo, mos_rpc_stream *stream) {
    const ProtobufCMessage *message;
    mos_status status = mos_rpc_stream_receive(stream, &message, &echo->error);
    return status != MOS_OK ? -(int)status : message ? (int)((const health_response *)message)->status : 0;
}

MOS_TEST(check_answers_by_service) {
    struct echo echo;
    echo_start(&echo, NULL, add_health);
    CU_ASSERT_EQUAL(check(&echo, ""), SERVING);
    CU_ASSERT_EQUAL(check(&echo, echo_name), SERVING);
    CU_ASSERT_EQUAL(check(&echo, "no.such.Service"), -MOS_NOT_FOUND);
    mos_rpc_server_set_serving(echo.server, echo_name, false);
    CU_ASSERT_EQUAL(check(&echo, echo_name), NOT_SERVING);
    CU_ASSERT_EQUAL(check(&echo, ""), SERVING);
    mos_rpc_server_set_serving(echo.server, NULL, false);
    CU_ASSERT_EQUAL(check(&echo, ""), NOT_SERVING);
    mos_rpc_server_set_serving(echo.server, "no.such.Service", true);
    CU_ASSERT_EQUAL(check(&echo, "no.such.Service"), -MOS_NOT_FOUND);
    echo_stop(&echo);
}

MOS_TEST(watchers_see_each_change) {
    struct echo echo;
    echo_start(&echo, NULL, add_health);
    mos_rpc_stream *one = watch(&echo, echo_name);
    mos_rpc_stream *unknown = watch(&echo, "no.such.Service");
    CU_ASSERT_EQUAL(next(&echo, one), SERVING);
    CU_ASSERT_EQUAL(next(&echo, unknown), SERVICE_UNKNOWN);
    mos_rpc_server_set_serving(echo.server, echo_name, false);
    CU_ASSERT_EQUAL(next(&echo, one), NOT_SERVING);
    mos_rpc_server_set_serving(echo.server, echo_name, true);
    CU_ASSERT_EQUAL(next(&echo, one), SERVING);
    CU_ASSERT_EQUAL(mos_rpc_stream_finish(one, NULL), MOS_CANCELLED);
    CU_ASSERT_EQUAL(mos_rpc_stream_finish(unknown, NULL), MOS_CANCELLED);
    echo_stop(&echo);
}

MOS_TEST(watchers_see_the_server_stop) {
    struct echo echo;
    echo_start(&echo, NULL, add_health);
    mos_rpc_stream *stream = watch(&echo, "");
    CU_ASSERT_EQUAL(next(&echo, stream), SERVING);
    mos_rpc_server_stop(echo.server, 60000);
    CU_ASSERT_EQUAL(next(&echo, stream), NOT_SERVING);
    CU_ASSERT_EQUAL(next(&echo, stream), -MOS_UNAVAILABLE);
    mos_rpc_stream_finish(stream, NULL);
    echo_stop(&echo);
}
