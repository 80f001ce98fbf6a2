#include "cli/arguments.h"

#include <stdlib.h>
#include <string.h>

#include "cli/api.h"
#include "cli/commands.h"
#include "unit/test.h"

static const struct mos_option options[] = {{.name = "type", .value = "TYPE", .help = "a type"},
                                            {.name = "tag", .value = "TAG", .repeated = true, .help = "a tag"},
                                            {.name = "yes", .help = "do not ask"},
                                            {0}};
static const struct mos_command command = {
    .group = "backup", .name = "try", .words = "ID [PATH]", .least_words = 1, .most_words = 2, .summary = "Try it", .options = options};

static mos_status parse(struct mos_arguments *out, mos_arena *arena, const char *line, struct mos_error *error) {
    char *words[16];
    int count = 0;
    char *save = NULL;
    for (char *word = strtok_r(mos_arena_strdup(arena, line), " ", &save); word; word = strtok_r(NULL, " ", &save)) {
        words[count++] = word;
    }
    *error = (struct mos_error){0};
    return mos_arguments_parse(out, arena, &command, count, words, error);
}

MOS_TEST(options_stand_anywhere_in_any_form) {
    static const char *const lines[] = {"x --type FILES --tag a --tag=b --yes", "--type=FILES --yes --tag a x --tag b",
                                        "--tag a --tag b --yes --type FILES -- x"};
    MOS_CLEANUP_ARENA mos_arena *arena = mos_arena_create(0);
    for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++) {
        struct mos_arguments arguments;
        struct mos_error error;
        MOS_ASSERT_OK(parse(&arguments, arena, lines[i], &error), &error);
        CU_ASSERT_EQUAL(arguments.word_count, 1);
        CU_ASSERT_STRING_EQUAL(arguments.words[0], "x");
        CU_ASSERT_STRING_EQUAL(mos_arguments_value(&arguments, "type"), "FILES");
        CU_ASSERT(mos_arguments_flag(&arguments, "yes"));
        size_t count;
        char **tags = mos_arguments_values(&arguments, "tag", arena, &count);
        CU_ASSERT_EQUAL_FATAL(count, 2);
        CU_ASSERT_STRING_EQUAL(tags[0], "a");
        CU_ASSERT_STRING_EQUAL(tags[1], "b");
        CU_ASSERT_FALSE(mos_arguments_flag(&arguments, "output"));
    }
}

MOS_TEST(output_has_a_short_form) {
    static const char *const lines[] = {"x -o json", "x -ojson", "-o=json x", "--output json x"};
    MOS_CLEANUP_ARENA mos_arena *arena = mos_arena_create(0);
    for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++) {
        struct mos_arguments arguments;
        struct mos_error error;
        MOS_ASSERT_OK(parse(&arguments, arena, lines[i], &error), &error);
        CU_ASSERT_STRING_EQUAL(mos_arguments_value(&arguments, "output"), "json");
    }
}

MOS_TEST(what_is_wrong_is_named) {
    static const char *const cases[][2] = {
        {"", "\"mosaajii backup try\" needs ID [PATH]; see mosaajii backup try --help"},
        {"a b c", "\"mosaajii backup try\" does not know what to do with \"c\"; see mosaajii backup try --help"},
        {"a --typ FILES", "--typ is no option of \"mosaajii backup try\"; did you mean --type?"},
        {"a --zzzzzz", "--zzzzzz is no option of \"mosaajii backup try\"; see mosaajii backup try --help"},
        {"a -x", "-x is no option of \"mosaajii backup try\"; see mosaajii backup try --help"},
        {"a --type", "--type needs a value: --type TYPE"},
        {"a --type A --type B", "--type is given twice"},
        {"a --yes=no", "--yes takes no value"},
        {"a -o yaml", "--output is \"yaml\"; allowed is table or json"},
        {"a -o", "--output needs a value: --output FORMAT"},
    };
    MOS_CLEANUP_ARENA mos_arena *arena = mos_arena_create(0);
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct mos_arguments arguments;
        struct mos_error error;
        CU_ASSERT_EQUAL(parse(&arguments, arena, cases[i][0], &error), MOS_INVALID_ARGUMENT);
        CU_ASSERT_STRING_EQUAL(error.message, cases[i][1]);
    }
}

MOS_TEST(help_needs_nothing_else) {
    MOS_CLEANUP_ARENA mos_arena *arena = mos_arena_create(0);
    struct mos_arguments arguments;
    struct mos_error error;
    MOS_ASSERT_OK(parse(&arguments, arena, "--help", &error), &error);
    CU_ASSERT(arguments.help);
    MOS_ASSERT_OK(parse(&arguments, arena, "-h a b c d", &error), &error);
    CU_ASSERT(arguments.help);
    // Behind -- it is a word, as a single dash is anywhere.
    MOS_ASSERT_OK(parse(&arguments, arena, "- -- --help", &error), &error);
    CU_ASSERT_FALSE(arguments.help);
    CU_ASSERT_STRING_EQUAL(arguments.words[0], "-");
    CU_ASSERT_STRING_EQUAL(arguments.words[1], "--help");
}

MOS_TEST(numbers_have_bounds) {
    static const char *const wrong[] = {"0", "101", "-1", "+5", "5x", "x", "99999999999999999999", "0x10", "1.5"};
    MOS_CLEANUP_ARENA mos_arena *arena = mos_arena_create(0);
    struct mos_arguments arguments;
    struct mos_error error;
    int64_t number = 7;
    MOS_ASSERT_OK(parse(&arguments, arena, "a", &error), &error);
    MOS_ASSERT_OK(mos_arguments_number(&arguments, "type", 1, 100, &number, &error), &error);
    CU_ASSERT_EQUAL(number, 7);
    MOS_ASSERT_OK(parse(&arguments, arena, "a --type 100", &error), &error);
    MOS_ASSERT_OK(mos_arguments_number(&arguments, "type", 1, 100, &number, &error), &error);
    CU_ASSERT_EQUAL(number, 100);
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        MOS_ASSERT_OK(parse(&arguments, arena, mos_arena_printf(arena, "a --type=%s", wrong[i]), &error), &error);
        CU_ASSERT_EQUAL(mos_arguments_number(&arguments, "type", 1, 100, &number, &error), MOS_INVALID_ARGUMENT);
        CU_ASSERT_STRING_EQUAL(error.field, "type");
        CU_ASSERT_EQUAL(number, 100);
    }
}

MOS_TEST(enum_words_are_taken_in_any_case) {
    static const struct {
        const char *text;
        int value;
    } cases[] = {{"FILES", 5}, {"files", 5}, {"Full", 1}};
    MOS_CLEANUP_ARENA mos_arena *arena = mos_arena_create(0);
    struct mos_arguments arguments;
    struct mos_error error;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        int value = 0;
        MOS_ASSERT_OK(parse(&arguments, arena, mos_arena_printf(arena, "a --type %s", cases[i].text), &error), &error);
        MOS_ASSERT_OK(mos_arguments_enum(&arguments, "type", API_TYPES, &value, &error), &error);
        CU_ASSERT_EQUAL(value, cases[i].value);
    }
    int status = 0;
    MOS_ASSERT_OK(parse(&arguments, arena, "a --type in-progress", &error), &error);
    MOS_ASSERT_OK(mos_arguments_enum(&arguments, "type", API_BACKUP_STATUSES, &status, &error), &error);
    CU_ASSERT_EQUAL(status, 2);
    static const char *const wrong[] = {"TYPE_UNSPECIFIED", "FILE", "FILESS", "5"};
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        int value = 0;
        MOS_ASSERT_OK(parse(&arguments, arena, mos_arena_printf(arena, "a --type %s", wrong[i]), &error), &error);
        CU_ASSERT_EQUAL(mos_arguments_enum(&arguments, "type", API_TYPES, &value, &error), MOS_INVALID_ARGUMENT);
        CU_ASSERT_EQUAL(value, 0);
    }
    CU_ASSERT_STRING_EQUAL(error.message, "--type is \"5\"; allowed is FULL, INCREMENTAL, DIFFERENTIAL, DATABASE, FILES or CONFIGURATION");
}

static const char *find(const char *first, const char *second, const struct mos_command **out, const char **out_group) {
    static struct mos_error error;
    char *words[] = {(char *)first, (char *)second, NULL};
    int used;
    error = (struct mos_error){0};
    mos_status status = mos_commands_find(second ? 2 : first ? 1 : 0, words, out, out_group, &used, &error);
    return status == MOS_OK ? NULL : error.message;
}

MOS_TEST(commands_are_found_or_guessed) {
    const struct mos_command *found;
    const char *group;
    CU_ASSERT_PTR_NULL(find("backup", "create", &found, &group));
    CU_ASSERT_STRING_EQUAL(found->name, "create");
    CU_ASSERT_PTR_NULL(find("status", "-o", &found, &group));
    CU_ASSERT_STRING_EQUAL(found->group, "status");
    CU_ASSERT_PTR_NULL(find("job", "--help", &found, &group));
    CU_ASSERT_PTR_NULL(found);
    CU_ASSERT_STRING_EQUAL(group, "job");
    CU_ASSERT_PTR_NULL(find("--help", NULL, &found, &group));
    CU_ASSERT_PTR_NULL(found);
    CU_ASSERT_PTR_NULL(group);
    CU_ASSERT_STRING_EQUAL(find("bakcup", NULL, &found, &group), "there is no command \"bakcup\"; did you mean mosaajii backup?");
    CU_ASSERT_STRING_EQUAL(find("backup", "lsit", &found, &group),
                           "there is no command \"backup lsit\"; did you mean mosaajii backup list?");
    CU_ASSERT_STRING_EQUAL(find("backup", "explode", &found, &group), "there is no command \"backup explode\"; see mosaajii backup --help");
    CU_ASSERT_STRING_EQUAL(find("backup", NULL, &found, &group), "\"mosaajii backup\" needs one word more; see mosaajii backup --help");
    CU_ASSERT_STRING_EQUAL(find(NULL, NULL, &found, &group), "what to do? See mosaajii --help");
}

static void check_help(const struct mos_command *each) {
    CU_ASSERT_PTR_NOT_NULL(each->summary);
    CU_ASSERT_PTR_NOT_NULL(each->example);
    CU_ASSERT_PTR_NOT_NULL(each->run);
    CU_ASSERT(each->most_words >= each->least_words);
    CU_ASSERT((each->words != NULL) == (each->most_words > 0));
    char *text = NULL;
    size_t size;
    FILE *stream = open_memstream(&text, &size);
    mos_command_help(each, stream);
    fclose(stream);
    CU_ASSERT_PTR_NOT_NULL(strstr(text, "Example:\n  mosaajii "));
    CU_ASSERT_PTR_NOT_NULL(strstr(text, "--output FORMAT"));
    for (const struct mos_option *option = each->options; option && option->name; option++) {
        CU_ASSERT_PTR_NOT_NULL(strstr(text, option->help));
    }
    free(text);
}

MOS_TEST(every_command_has_what_help_shows) {
    for (const struct mos_group *group = mos_groups; group->name; group++) {
        CU_ASSERT_PTR_NOT_NULL(group->commands->group);
        for (const struct mos_command *each = group->commands; each->group; each++) {
            CU_ASSERT_STRING_EQUAL(each->group, group->name);
            check_help(each);
        }
    }
}
