#include "cli/arguments.h"

#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "common/buffer.h"

static const struct mos_option common_options[] = {
    {"output", "FORMAT", false, "table (for people) or json (for programs)", 'o'},
    {"help", NULL, false, "this text", 'h'},
    {0},
};

static const struct mos_option *find_letter(const struct mos_command *command, char letter) {
    const struct mos_option *const lists[] = {command->options, common_options};
    for (size_t i = 0; i < 2; i++) {
        for (const struct mos_option *option = lists[i]; option && option->name; option++) {
            if (option->letter == letter) {
                return option;
            }
        }
    }
    return NULL;
}

static const struct mos_option *find_option(const struct mos_command *command, const char *name, size_t length) {
    const struct mos_option *const lists[] = {command->options, common_options};
    for (size_t i = 0; i < 2; i++) {
        for (const struct mos_option *option = lists[i]; option && option->name; option++) {
            if (strlen(option->name) == length && memcmp(option->name, name, length) == 0) {
                return option;
            }
        }
    }
    return NULL;
}

char *mos_command_text(mos_arena *arena, const struct mos_command *command) {
    return mos_arena_printf(arena, "mosaajii %s%s%s", command->group, command->name ? " " : "", command->name ? command->name : "");
}

// Levenshtein's distance, up to a ceiling that words of commands never reach.
static int distance(const char *a, const char *b) {
    enum { LIMIT = 32 };
    size_t a_length = strlen(a), b_length = strlen(b);
    if (a_length >= LIMIT || b_length >= LIMIT) {
        return LIMIT;
    }
    int row[LIMIT + 1];
    for (size_t k = 0; k <= b_length; k++) {
        row[k] = (int)k;
    }
    for (size_t i = 1; i <= a_length; i++) {
        int diagonal = row[0];
        row[0] = (int)i;
        for (size_t k = 1; k <= b_length; k++) {
            int above = row[k];
            int best = diagonal + (tolower((unsigned char)a[i - 1]) != tolower((unsigned char)b[k - 1]));
            best = above + 1 < best ? above + 1 : best;
            best = row[k - 1] + 1 < best ? row[k - 1] + 1 : best;
            diagonal = above;
            row[k] = best;
        }
    }
    return row[b_length];
}

const char *mos_arguments_nearest(const char *word, const char *const *candidates) {
    const char *nearest = NULL;
    int least = strlen(word) < 4 ? 2 : 3;
    for (; *candidates; candidates++) {
        int d = distance(word, *candidates);
        bool begins = strlen(word) >= 3 && strncmp(word, *candidates, strlen(word)) == 0;
        if (begins || d < least) {
            nearest = *candidates;
            least = begins ? 0 : d;
        }
    }
    return nearest;
}

static mos_status refuse_option(const struct mos_command *command, mos_arena *arena, const char *given, size_t length,
                                struct mos_error *error) {
    const char *names[64];
    size_t count = 0;
    const struct mos_option *const lists[] = {command->options, common_options};
    for (size_t i = 0; i < 2; i++) {
        for (const struct mos_option *option = lists[i]; option && option->name && count < 63; option++) {
            names[count++] = option->name;
        }
    }
    names[count] = NULL;
    const char *text = mos_command_text(arena, command);
    const char *nearest = mos_arguments_nearest(mos_arena_printf(arena, "%.*s", (int)length, given), names);
    if (nearest) {
        return mos_fail(error, MOS_INVALID_ARGUMENT, "--%.*s is no option of \"%s\"; did you mean --%s?", (int)length, given, text,
                        nearest);
    }
    return mos_fail(error, MOS_INVALID_ARGUMENT, "--%.*s is no option of \"%s\"; see %s --help", (int)length, given, text, text);
}

static mos_status add(struct mos_arguments *out, const struct mos_option *option, const char *value, struct mos_error *error) {
    for (int i = 0; i < out->option_count; i++) {
        if (out->options[i].option == option && option->value && !option->repeated) {
            return mos_fail_field(error, option->name, "--%s is given twice", option->name);
        }
    }
    out->options[out->option_count++] = (struct mos_option_value){option, value};
    return MOS_OK;
}

static mos_status parse_option(struct mos_arguments *out, mos_arena *arena, int argc, char *const *argv, int *index,
                               struct mos_error *error) {
    const char *text = argv[*index];
    const char *name = text + 2;
    size_t length = strcspn(name, "=");
    const char *value = name[length] == '=' ? name + length + 1 : NULL;
    const struct mos_option *option;
    if (text[1] == '-') {
        option = find_option(out->command, name, length);
        if (!option) {
            return refuse_option(out->command, arena, name, length, error);
        }
    } else {
        option = find_letter(out->command, text[1]);
        if (!option) {
            return mos_fail(error, MOS_INVALID_ARGUMENT, "%s is no option of \"%s\"; see %s --help", text,
                            mos_command_text(arena, out->command), mos_command_text(arena, out->command));
        }
        value = text[2] ? text + 2 + (text[2] == '=') : NULL;
    }
    if (!option->value && value) {
        return mos_fail_field(error, option->name, "--%s takes no value", option->name);
    }
    if (option->value && !value) {
        if (++*index >= argc) {
            return mos_fail_field(error, option->name, "--%s needs a value: --%s %s", option->name, option->name, option->value);
        }
        value = argv[*index];
    }
    out->help = out->help || strcmp(option->name, "help") == 0;
    return add(out, option, value, error);
}

mos_status mos_arguments_parse(struct mos_arguments *out, mos_arena *arena, const struct mos_command *command, int argc, char *const *argv,
                               struct mos_error *error) {
    *out = (struct mos_arguments){.command = command,
                                  .words = mos_arena_array(arena, const char *, (size_t)argc + 1),
                                  .options = mos_arena_array(arena, struct mos_option_value, (size_t)argc + 1)};
    bool only_words = false;
    for (int i = 0; i < argc; i++) {
        if (only_words || argv[i][0] != '-' || !argv[i][1]) {
            out->words[out->word_count++] = argv[i];
        } else if (strcmp(argv[i], "--") == 0) {
            only_words = true;
        } else {
            mos_status status = parse_option(out, arena, argc, argv, &i, error);
            if (status != MOS_OK) {
                return status;
            }
        }
    }
    const char *output = mos_arguments_value(out, "output");
    if (output && strcmp(output, "json") != 0 && strcmp(output, "table") != 0) {
        return mos_fail_field(error, "output", "--output is \"%s\"; allowed is table or json", output);
    }
    const char *text = mos_command_text(arena, command);
    const char *words = command->words ? command->words : "";
    if (!out->help && out->word_count < command->least_words) {
        return mos_fail(error, MOS_INVALID_ARGUMENT, "\"%s\" needs %s; see %s --help", text, words, text);
    }
    if (!out->help && out->word_count > command->most_words) {
        return mos_fail(error, MOS_INVALID_ARGUMENT, "\"%s\" does not know what to do with \"%s\"; see %s --help", text,
                        out->words[command->most_words], text);
    }
    return MOS_OK;
}

const char *mos_arguments_value(const struct mos_arguments *arguments, const char *name) {
    for (int i = 0; i < arguments->option_count; i++) {
        if (strcmp(arguments->options[i].option->name, name) == 0) {
            return arguments->options[i].value;
        }
    }
    return NULL;
}

bool mos_arguments_flag(const struct mos_arguments *arguments, const char *name) {
    for (int i = 0; i < arguments->option_count; i++) {
        if (strcmp(arguments->options[i].option->name, name) == 0) {
            return true;
        }
    }
    return false;
}

char **mos_arguments_values(const struct mos_arguments *arguments, const char *name, mos_arena *arena, size_t *out_count) {
    char **values = NULL;
    *out_count = 0;
    for (int i = 0; i < arguments->option_count; i++) {
        if (strcmp(arguments->options[i].option->name, name) == 0) {
            values = values ? values : mos_arena_array(arena, char *, (size_t)arguments->option_count);
            values[(*out_count)++] = mos_arena_strdup(arena, arguments->options[i].value);
        }
    }
    return values;
}

mos_status mos_arguments_number(const struct mos_arguments *arguments, const char *name, int64_t least, int64_t most, int64_t *out,
                                struct mos_error *error) {
    const char *text = mos_arguments_value(arguments, name);
    if (!text) {
        return MOS_OK;
    }
    char *end;
    errno = 0;
    long long number = strtoll(text, &end, 10);
    if (!isdigit((unsigned char)text[0]) || *end || errno != 0 || number < least || number > most) {
        return mos_fail_field(error, name, "--%s is \"%s\"; allowed is a whole number from %" PRId64 " to %" PRId64, name, text, least,
                              most);
    }
    *out = number;
    return MOS_OK;
}

// The words of an enum but its *_UNSPECIFIED, by number.
static bool is_word(const ProtobufCEnumValue *value) {
    const char *end = strstr(value->name, "UNSPECIFIED");
    return !(value->value == 0 && end);
}

mos_status mos_arguments_enum(const struct mos_arguments *arguments, const char *name, const ProtobufCEnumDescriptor *descriptor, int *out,
                              struct mos_error *error) {
    const char *text = mos_arguments_value(arguments, name);
    if (!text) {
        return MOS_OK;
    }
    MOS_CLEANUP_BUFFER struct mos_buffer allowed = MOS_BUFFER_INIT(0);
    for (unsigned i = 0; i < descriptor->n_values; i++) {
        const ProtobufCEnumValue *value = &descriptor->values[i];
        if (!is_word(value)) {
            continue;
        }
        const char *a = value->name, *b = text;
        while (*a && (*a == toupper((unsigned char)*b) || (*a == '_' && *b == '-'))) {
            a++;
            b++;
        }
        if (!*a && !*b) {
            *out = value->value;
            return MOS_OK;
        }
        mos_buffer_printf(&allowed, "%s%s", allowed.size_bytes == 0 ? "" : i + 1 < descriptor->n_values ? ", " : " or ", value->name);
    }
    return mos_fail_field(error, name, "--%s is \"%s\"; allowed is %s", name, text, mos_buffer_text(&allowed));
}

// "-o, --output FORMAT"
static void option_text(const struct mos_option *option, struct mos_buffer *out) {
    if (option->letter) {
        mos_buffer_printf(out, "-%c, ", option->letter);
    }
    mos_buffer_printf(out, "--%s%s%s", option->name, option->value ? " " : "", option->value ? option->value : "");
}

static int options_width(const struct mos_option *options, int width) {
    for (const struct mos_option *option = options; option && option->name; option++) {
        MOS_CLEANUP_BUFFER struct mos_buffer text = MOS_BUFFER_INIT(0);
        option_text(option, &text);
        width = (int)text.size_bytes > width ? (int)text.size_bytes : width;
    }
    return width;
}

static void print_options(const struct mos_option *options, int width, FILE *stream) {
    for (const struct mos_option *option = options; option && option->name; option++) {
        MOS_CLEANUP_BUFFER struct mos_buffer text = MOS_BUFFER_INIT(0);
        option_text(option, &text);
        fprintf(stream, "  %-*s  %s%s\n", width, mos_buffer_text(&text), option->help,
                option->repeated ? " (may be given several times)" : "");
    }
}

void mos_command_help(const struct mos_command *command, FILE *stream) {
    int width = options_width(command->options, options_width(common_options, 0));
    fprintf(stream, "Usage: mosaajii %s%s%s%s%s [options]\n\n%s.\n", command->group, command->name ? " " : "",
            command->name ? command->name : "", command->words ? " " : "", command->words ? command->words : "", command->summary);
    if (command->description) {
        fprintf(stream, "%s", command->description);
    }
    fprintf(stream, "\nOptions:\n");
    print_options(command->options, width, stream);
    print_options(common_options, width, stream);
    if (command->example) {
        fprintf(stream, "\nExample:\n%s", command->example);
    }
}
