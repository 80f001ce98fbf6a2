#include "common/log.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "unit/test.h"

// What the function writes to standard error.
static void capture(void (*function)(void), char *text, size_t size_bytes) {
    FILE *file = tmpfile();
    CU_ASSERT_PTR_NOT_NULL_FATAL(file);
    int kept = dup(STDERR_FILENO);
    dup2(fileno(file), STDERR_FILENO);
    function();
    dup2(kept, STDERR_FILENO);
    close(kept);
    rewind(file);
    size_t got = fread(text, 1, size_bytes - 1, file);
    text[got] = 0;
    fclose(file);
}

static void one_event(void) {
    mos_log_debug("too quiet to be heard");
    mos_log_warning("file changed", MOS_TEXT("path", "/a b/\"c\"\n"), MOS_NUMBER("bytes", -5), MOS_TEXT("empty", NULL));
}

MOS_TEST(a_line_is_logfmt_or_json) {
    char text[1024];
    mos_log_setup("test", false, MOS_LOG_INFO);
    capture(one_event, text, sizeof(text));
    CU_ASSERT_PTR_NOT_NULL(
        strstr(text, " level=warning program=test event=\"file changed\" path=\"/a b/\\\"c\\\"\\n\" bytes=-5 empty=\"\"\n"));
    CU_ASSERT_PTR_NULL(strstr(text, "quiet"));
    mos_log_setup("test", true, MOS_LOG_INFO);
    capture(one_event, text, sizeof(text));
    CU_ASSERT_EQUAL(strncmp(text, "{\"time\":\"2", 10), 0);
    CU_ASSERT_PTR_NOT_NULL(strstr(text, ",\"path\":\"/a b/\\\"c\\\"\\n\",\"bytes\":-5,\"empty\":\"\"}\n"));
    mos_log_setup("test", false, MOS_LOG_INFO);
}
